import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.common.ConsistencyLevel;
import io.milvus.v2.common.DataType;
import io.milvus.v2.common.IndexParam;
import io.milvus.v2.service.collection.request.AddFieldReq;
import io.milvus.v2.service.collection.request.CreateCollectionReq;
import io.milvus.v2.service.collection.request.DropCollectionReq;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryReq;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Inserts rows of many megabytes in one message, and reads them in another: java Large.java HOST:PORT ROWS DIMENSION
 *
 * <p>It prints how many rows were inserted, and how many came back as they were sent.
 */
public final class Large {
    private static final String COLLECTION = "large_java";

    private Large() {}

    public static void main(String[] arguments) {
        int rows = Integer.parseInt(arguments[1]);
        int dimension = Integer.parseInt(arguments[2]);
        MilvusClientV2 client = new MilvusClientV2(
                ConnectConfig.builder().uri("http://" + arguments[0]).token("root:Milvus").build());
        create(client, dimension);
        List<JsonObject> data = new ArrayList<>();
        for (int number = 0; number < rows; number++) {
            data.add(row(number, dimension));
        }
        long inserted = client.insert(
                        InsertReq.builder().collectionName(COLLECTION).data(data).build())
                .getInsertCnt();
        long same = client
                .query(QueryReq.builder()
                        .collectionName(COLLECTION)
                        .filter("id >= 0")
                        .outputFields(List.of("id", "vector"))
                        .build())
                .getQueryResults()
                .stream()
                .filter(found -> isWhole(found.getEntity(), dimension))
                .count();
        System.out.println(List.of(inserted, same));
        client.dropCollection(DropCollectionReq.builder().collectionName(COLLECTION).build());
        client.close();
    }

    private static void create(MilvusClientV2 client, int dimension) {
        CreateCollectionReq.CollectionSchema schema = MilvusClientV2.CreateSchema();
        schema.addField(AddFieldReq.builder().fieldName("id").dataType(DataType.Int64).isPrimaryKey(true).build());
        schema.addField(AddFieldReq.builder()
                .fieldName("vector")
                .dataType(DataType.FloatVector)
                .dimension(dimension)
                .build());
        IndexParam index = IndexParam.builder()
                .fieldName("vector")
                .indexType(IndexParam.IndexType.FLAT)
                .metricType(IndexParam.MetricType.L2)
                .build();
        client.createCollection(CreateCollectionReq.builder()
                .collectionName(COLLECTION)
                .collectionSchema(schema)
                .indexParams(List.of(index))
                .consistencyLevel(ConsistencyLevel.STRONG)
                .build());
    }

    private static JsonObject row(int number, int dimension) {
        JsonArray vector = new JsonArray();
        for (int place = 0; place < dimension; place++) {
            vector.add((float) number);
        }
        JsonObject row = new JsonObject();
        row.addProperty("id", number);
        row.add("vector", vector);
        return row;
    }

    private static boolean isWhole(Map<String, Object> found, int dimension) {
        List<?> vector = (List<?>) found.get("vector");
        return vector.size() == dimension
                && ((Number) vector.get(dimension - 1)).floatValue() == ((Number) found.get("id")).floatValue();
    }
}
