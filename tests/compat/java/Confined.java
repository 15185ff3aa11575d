import com.google.gson.Gson;
import com.google.gson.JsonObject;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.service.collection.request.DescribeCollectionReq;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryReq;
import io.milvus.v2.service.vector.request.SearchReq;
import io.milvus.v2.service.vector.request.data.FloatVec;
import java.lang.module.ModuleDescriptor.Version;
import java.util.List;
import java.util.Map;

/** Does what a user confined to one collection of a database may do: java Confined.java HOST:PORT DATABASE TOKEN */
public final class Confined {
    private Confined() {
    }

    public static void main(String[] arguments) {
        MilvusClientV2 client = new MilvusClientV2(ConnectConfig.builder()
                .uri("http://" + arguments[0]).dbName(arguments[1]).token(arguments[2]).build());
        List<String> described = client.describeCollection(
                DescribeCollectionReq.builder().collectionName("notes").build()).getFieldNames();
        List<Object> found = client.search(SearchReq.builder().collectionName("notes").annsField("vector").limit(1)
                        .data(List.of(new FloatVec(new float[] {1, 1, 0, 0}))).build())
                .getSearchResults().get(0).stream().map(hit -> hit.getId()).toList();
        List<Object> queried = client.query(QueryReq.builder().collectionName("notes").filter("id < 10")
                        .outputFields(List.of("id")).build())
                .getQueryResults().stream().map(row -> row.getEntity().get("id")).sorted().toList();
        JsonObject row = new Gson().fromJson("{\"id\": 10, \"vector\": [9, 9, 9, 9]}", JsonObject.class);
        long inserted = client.insert(
                InsertReq.builder().collectionName("notes").data(List.of(row)).build()).getInsertCnt();
        Version version = Version.parse(client.getServerVersion());
        boolean recent = version.compareTo(Version.parse("2.6.0")) > 0 && version.compareTo(Version.parse("3.0.1")) < 0;
        System.out.println(new Gson().toJson(Map.of(
                "described", described, "found", found, "queried", queried, "inserted", inserted,
                "listed", client.listCollections().getCollectionNames(), "recent", recent)));
        client.close();
    }
}
