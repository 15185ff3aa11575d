#!/usr/bin/env bash
# Package:   io.milvus:milvus-sdk-java-bulkwriter 2.5.5 (Maven Central), its local writer; no server. Needs Java 17 and Maven.
# Behaviour: the writer puts the undeclared fields of a row into the object that the row has as `$meta`, and this is the caller's own.
#            Rows that share one, for what all have in common, get the fields of those before them: a later row without such a field
#            is stored with the value of an earlier one, without an error.
# Guess:     each row is stored with its own fields, and what the caller hands over stays as it is.
# Seen:      owner ann in row 1, no owner in 2, owner bob in 3, none in 4: with a shared `$meta` ann, ann, bob, bob; with a copy for
#            each row ann, -, bob, -
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>try</groupId>
  <artifactId>try</artifactId>
  <version>0</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.milvus</groupId>
      <artifactId>milvus-sdk-java-bulkwriter</artifactId>
      <version>2.5.5</version>
      <exclusions>
        <exclusion><groupId>com.amazonaws</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>com.azure</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>io.minio</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>org.apache.hadoop</groupId><artifactId>*</artifactId></exclusion>
        <exclusion><groupId>org.apache.parquet</groupId><artifactId>*</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-nop</artifactId>
      <version>2.0.17</version>
    </dependency>
  </dependencies>
</project>
XML
mvn --quiet --batch-mode -Dmaven.repo.local="$work/repository" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 \
    || { cat mvn.log >&2; exit 1; }
cat >Try.java <<'JAVA'
import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.milvus.bulkwriter.LocalBulkWriter;
import io.milvus.bulkwriter.LocalBulkWriterParam;
import io.milvus.bulkwriter.common.clientenum.BulkFileType;
import io.milvus.v2.common.DataType;
import io.milvus.v2.service.collection.request.AddFieldReq;
import io.milvus.v2.service.collection.request.CreateCollectionReq;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public class Try {
    static final List<String> OWNERS = Arrays.asList("ann", null, "bob", null);

    static CreateCollectionReq.CollectionSchema schema() {
        CreateCollectionReq.CollectionSchema schema =
            CreateCollectionReq.CollectionSchema.builder().enableDynamicField(true).build();
        schema.addField(AddFieldReq.builder().fieldName("id").dataType(DataType.Int64).isPrimaryKey(true).build());
        schema.addField(AddFieldReq.builder().fieldName("vector").dataType(DataType.FloatVector).dimension(2).build());
        return schema;
    }

    static List<String> stored(boolean shared) throws Exception {
        LocalBulkWriter writer = new LocalBulkWriter(LocalBulkWriterParam.newBuilder().withCollectionSchema(schema())
            .withLocalPath("files").withFileType(BulkFileType.JSON).build());
        JsonObject common = new JsonObject();
        common.addProperty("source", "mail");
        for (int id = 0; id < OWNERS.size(); id++) {
            JsonObject row = new JsonObject();
            row.addProperty("id", id);
            row.add("vector", new Gson().toJsonTree(new float[] {1, 0}));
            row.add("$meta", shared ? common : common.deepCopy());
            if (OWNERS.get(id) != null) row.addProperty("owner", OWNERS.get(id));
            writer.appendRow(row);
        }
        writer.commit(false);
        String file = writer.getBatchFiles().get(0).get(0);
        JsonArray rows = JsonParser.parseString(Files.readString(Path.of(file))).getAsJsonArray();
        List<String> owners = new ArrayList<>();
        for (JsonElement row : rows) {
            JsonObject meta = JsonParser.parseString(row.getAsJsonObject().get("$meta").getAsString()).getAsJsonObject();
            owners.add(meta.has("owner") ? meta.get("owner").getAsString() : "-");
        }
        return owners;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> shared = stored(true), copied = stored(false);
        System.out.println("shared: " + shared + ", copied: " + copied);
        boolean same = shared.equals(List.of("ann", "ann", "bob", "bob")) && copied.equals(List.of("ann", "-", "bob", "-"));
        System.exit(same ? 0 : 1);
    }
}
JAVA
java -cp "lib/*" Try.java
