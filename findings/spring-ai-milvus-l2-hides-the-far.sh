#!/usr/bin/env bash
# Package:   org.springframework.ai:spring-ai-milvus-store 1.1.3 (Maven Central), and the store in memory of the same Spring AI;
#            milvus-lite 3.2.2 as the server. Needs Java 17 and Maven.
# Behaviour: with the metric L2 the similarity is 1 minus the squared distance, which is below 0 for what is further away than 1.
#            A search that accepts all similarities, as it does by default, has a threshold of 0, and leaves out what is below
#            it after the engine has found it: it returns fewer than `topK`, without a word, and far documents are never found.
# Guess:     the `topK` nearest documents, however far they are, as in memory.
# Seen:      documents at the squared distances 0, 0.25, 1 and 2.25, `topK` 4: with L2 the first three; with COSINE and in memory all
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
import io.milvus.param.MetricType;
import java.util.List;
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
    static class Heights implements EmbeddingModel {
        float[] vector(String text) {
            return new float[] {1, Float.parseFloat(text)};
        }

        @Override
        public EmbeddingResponse call(EmbeddingRequest request) {
            List<String> texts = request.getInstructions();
            return new EmbeddingResponse(IntStream.range(0, texts.size())
                .mapToObj(at -> new Embedding(vector(texts.get(at)), at)).toList());
        }

        @Override
        public float[] embed(Document document) {
            return vector(document.getText());
        }

        @Override
        public int dimensions() {
            return 2;
        }
    }

    static String found(VectorStore store) {
        store.add(IntStream.rangeClosed(0, 3).mapToObj(height -> new Document(String.valueOf(height / 2f))).toList());
        return store.similaritySearch(SearchRequest.builder().query("0").topK(4).similarityThresholdAll().build())
            .stream().map(Document::getText).toList().toString();
    }

    static MilvusVectorStore milvus(MilvusServiceClient client, MetricType metric) throws Exception {
        MilvusVectorStore store = MilvusVectorStore.builder(client, new Heights()).collectionName(metric.name())
            .metricType(metric).embeddingDimension(2).indexType(IndexType.FLAT).indexParameters("{}")
            .initializeSchema(true).build();
        store.afterPropertiesSet();
        return store;
    }

    public static void main(String[] arguments) throws Exception {
        MilvusServiceClient client = new MilvusServiceClient(ConnectParam.newBuilder().withUri(arguments[0]).build());
        List<String> seen = List.of(found(milvus(client, MetricType.L2)), found(milvus(client, MetricType.COSINE)),
            found(SimpleVectorStore.builder(new Heights()).build()));
        client.close();
        System.out.println("L2, COSINE, in memory: " + seen);
        String all = "[0.0, 0.5, 1.0, 1.5]";
        System.exit(seen.equals(List.of("[0.0, 0.5, 1.0]", all, all)) ? 0 : 1);
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
