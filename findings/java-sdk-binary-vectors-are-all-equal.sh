#!/usr/bin/env bash
# Package:   io.milvus:milvus-sdk-java 2.6.22 (Maven Central); a server in the same program that returns the rows that it was sent.
#            Needs Java 17 and Maven.
# Behaviour: vectors that are kept as bytes (binary ones, and those of 16-bit floats and 8-bit integers) are read as `ByteBuffer`
#            objects whose position is at their end. `equals` and `hashCode` compare what is left to read, which is nothing: all
#            vectors that were read are equal, no two differ in a set or as keys of a map, and none is equal to the one that was
#            stored. A loop over `hasRemaining` sees no byte. `array()` has the vector, and so has the buffer after `rewind()`.
# Guess:     what comes back equals what was stored, and different vectors differ, as those of 32-bit floats do.
# Seen:      two different vectors: equal to each other true, to the stored one false, 1 in a set, 0 bytes left; after rewind()
#            false, true and 2; those of 32-bit floats false, true and 2
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
      <artifactId>milvus-sdk-java</artifactId>
      <version>2.6.22</version>
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
import com.google.gson.JsonObject;
import io.milvus.grpc.CollectionSchema;
import io.milvus.grpc.ConnectRequest;
import io.milvus.grpc.ConnectResponse;
import io.milvus.grpc.DataType;
import io.milvus.grpc.DescribeCollectionRequest;
import io.milvus.grpc.DescribeCollectionResponse;
import io.milvus.grpc.FieldData;
import io.milvus.grpc.FieldSchema;
import io.milvus.grpc.InsertRequest;
import io.milvus.grpc.KeyValuePair;
import io.milvus.grpc.MilvusServiceGrpc;
import io.milvus.grpc.MutationResult;
import io.milvus.grpc.QueryRequest;
import io.milvus.grpc.QueryResults;
import io.milvus.shaded.io.grpc.Server;
import io.milvus.shaded.io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.milvus.shaded.io.grpc.stub.StreamObserver;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryReq;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

public class Try {
    static final int DIMENSION = 8;
    static final Map<DataType, Integer> BYTES =
        Map.of(DataType.BinaryVector, 1, DataType.Float16Vector, 16, DataType.BFloat16Vector, 16, DataType.Int8Vector, 8);

    static class Echo extends MilvusServiceGrpc.MilvusServiceImplBase {
        List<FieldData> stored = List.of();

        <T> void answer(StreamObserver<T> caller, T message) {
            caller.onNext(message);
            caller.onCompleted();
        }

        @Override
        public void connect(ConnectRequest request, StreamObserver<ConnectResponse> caller) {
            answer(caller, ConnectResponse.getDefaultInstance());
        }

        @Override
        public void describeCollection(DescribeCollectionRequest request, StreamObserver<DescribeCollectionResponse> caller) {
            CollectionSchema.Builder schema = CollectionSchema.newBuilder()
                .addFields(FieldSchema.newBuilder().setName("id").setDataType(DataType.Int64).setIsPrimaryKey(true));
            for (DataType type : types())
                schema.addFields(FieldSchema.newBuilder().setName(type.name()).setDataType(type).addTypeParams(
                    KeyValuePair.newBuilder().setKey("dim").setValue(String.valueOf(DIMENSION))));
            answer(caller, DescribeCollectionResponse.newBuilder().setCollectionName("c").setSchema(schema).build());
        }

        @Override
        public void insert(InsertRequest request, StreamObserver<MutationResult> caller) {
            stored = request.getFieldsDataList();
            answer(caller, MutationResult.newBuilder().setInsertCnt(request.getNumRows()).build());
        }

        @Override
        public void query(QueryRequest request, StreamObserver<QueryResults> caller) {
            answer(caller, QueryResults.newBuilder().addAllFieldsData(stored)
                .addAllOutputFields(request.getOutputFieldsList()).build());
        }
    }

    static List<DataType> types() {
        List<DataType> types = new ArrayList<>(new TreeSet<>(BYTES.keySet()));
        types.add(DataType.FloatVector);
        return types;
    }

    static JsonObject row(int id) {
        JsonObject row = new JsonObject();
        row.addProperty("id", id);
        for (DataType type : types()) row.add(type.name(), new Gson().toJsonTree(
            type == DataType.FloatVector ? Collections.nCopies(DIMENSION, (float) id) : bytes(type, id)));
        return row;
    }

    static byte[] bytes(DataType type, int id) {
        byte[] bytes = new byte[BYTES.get(type)];
        Arrays.fill(bytes, (byte) (id + 1));
        return bytes;
    }

    static String compared(List<?> vectors, Object first) {
        return vectors.get(0).equals(vectors.get(1)) + " " + vectors.get(0).equals(first) + " " + new HashSet<>(vectors).size();
    }

    public static void main(String[] arguments) throws Exception {
        Server server = NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .addService(new Echo()).build().start();
        MilvusClientV2 client = new MilvusClientV2(
            ConnectConfig.builder().uri("http://127.0.0.1:" + server.getPort()).build());
        client.insert(InsertReq.builder().collectionName("c").data(List.of(row(0), row(1))).build());
        List<String> names = types().stream().map(DataType::name).toList();
        var rows = client.query(QueryReq.builder().collectionName("c").filter("id >= 0").outputFields(names).build())
            .getQueryResults();
        client.close();
        server.shutdownNow().awaitTermination();

        boolean same = true;
        System.out.println("equal to each other, to the stored one, number in a set, bytes left");
        for (DataType type : types()) {
            List<Object> read = rows.stream().map(row -> row.getEntity().get(type.name())).toList();
            if (type == DataType.FloatVector) {
                String seen = compared(read, Collections.nCopies(DIMENSION, 0f));
                System.out.println(type + ": " + seen);
                same &= seen.equals("false true 2");
            } else {
                ByteBuffer first = ByteBuffer.wrap(bytes(type, 0));
                String seen = compared(read, first) + " " + ((ByteBuffer) read.get(0)).remaining();
                read.forEach(buffer -> ((ByteBuffer) buffer).rewind());
                String after = compared(read, first);
                System.out.println(type + ": " + seen + "; after rewind() " + after);
                same &= seen.equals("true false 1 0") && after.equals("false true 2");
            }
        }
        System.exit(same ? 0 : 1);
    }
}
JAVA
java -cp "lib/*" Try.java
