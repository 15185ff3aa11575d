#!/usr/bin/env bash
# Package:   org.springframework.ai:spring-ai-milvus-store 1.1.3 (Maven Central), and the store in memory of the same Spring AI;
#            milvus-lite 3.2.2 as the server. Needs Java 17 and Maven.
# Behaviour: parentheses in a filter are left out, and what is inside them is written twice: `(A || B) && C` is sent as
#            `A || B && A || B && C`, which is `A || B && C`. A search returns documents that the filter excludes, and `delete` deletes
#            them, without an error. The same filter finds others when its sides change places.
# Guess:     the documents that the filter names, as in the store in memory, in either order.
# Seen:      a red open, b blue closed, c red closed, d blue open; red or blue, and open: [a, c, d], in memory [a, d]; open, and
#            red or blue: [a, b, d], in memory [a, d]; after the first is deleted, [b] is left, in memory [b, c]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check milvus-lite==3.2.2 pymilvus==3.0.2
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>try</groupId>
  <artifactId>try</artifactId>
  <version>0</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.springframework.ai</groupId>
      <artifactId>spring-ai-milvus-store</artifactId>
      <version>1.1.3</version>
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
import io.milvus.client.MilvusServiceClient;
import io.milvus.param.ConnectParam;
import io.milvus.param.IndexType;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.Embedding;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.vectorstore.SearchRequest;
import org.springframework.ai.vectorstore.SimpleVectorStore;
import org.springframework.ai.vectorstore.VectorStore;
import org.springframework.ai.vectorstore.milvus.MilvusVectorStore;

public class Try {
    static class SameForAll implements EmbeddingModel {
        @Override
        public EmbeddingResponse call(EmbeddingRequest request) {
            return new EmbeddingResponse(IntStream.range(0, request.getInstructions().size())
                .mapToObj(at -> new Embedding(new float[] {1, 0}, at)).toList());
        }

        @Override
        public float[] embed(Document document) {
            return new float[] {1, 0};
        }

        @Override
        public int dimensions() {
            return 2;
        }
    }

    static final List<String> FILTERS = List.of(
        "(team == 'red' || team == 'blue') && state == 'open'", "state == 'open' && (team == 'red' || team == 'blue')");

    static Document document(String id, String team, String state) {
        return new Document(id, "text of " + id, Map.of("team", team, "state", state));
    }

    static String found(VectorStore store, String filter) {
        return store.similaritySearch(SearchRequest.builder().query("text").topK(10).filterExpression(filter).build())
            .stream().map(Document::getId).sorted().toList().toString();
    }

    static List<String> seen(VectorStore store) {
        store.add(List.of(document("a", "red", "open"), document("b", "blue", "closed"),
            document("c", "red", "closed"), document("d", "blue", "open")));
        List<String> seen = new ArrayList<>(FILTERS.stream().map(filter -> found(store, filter)).toList());
        store.delete(FILTERS.get(0));
        seen.add(found(store, "team != 'none'"));
        return seen;
    }

    public static void main(String[] arguments) throws Exception {
        MilvusServiceClient client = new MilvusServiceClient(ConnectParam.newBuilder().withUri(arguments[0]).build());
        MilvusVectorStore milvus = MilvusVectorStore.builder(client, new SameForAll()).embeddingDimension(2)
            .indexType(IndexType.FLAT).indexParameters("{}").initializeSchema(true).build();
        milvus.afterPropertiesSet();
        List<String> stored = seen(milvus), held = seen(SimpleVectorStore.builder(new SameForAll()).build());
        client.close();
        System.out.println("Milvus " + stored + " in memory " + held);
        boolean same = stored.equals(List.of("[a, c, d]", "[a, b, d]", "[b]")) && held.equals(List.of("[a, d]", "[a, d]", "[b, c]"));
        System.exit(same ? 0 : 1);
    }
}
JAVA
cat >try.py <<'PYTHON'
import subprocess

from milvus_lite.server_manager import server_manager_instance

address = server_manager_instance.start_and_get_uri("lite.db")
subprocess.run(["java", "-cp", "lib/*", "Try.java", address], check=True)
PYTHON
env/bin/python -W ignore try.py
