import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import io.milvus.client.MilvusServiceClient;
import io.milvus.grpc.DataType;
import io.milvus.param.ConnectParam;
import io.milvus.param.IndexType;
import io.milvus.param.MetricType;
import io.milvus.param.R;
import io.milvus.param.collection.CollectionSchemaParam;
import io.milvus.param.collection.CreateCollectionParam;
import io.milvus.param.collection.DropCollectionParam;
import io.milvus.param.collection.FieldType;
import io.milvus.param.collection.GetCollectionStatisticsParam;
import io.milvus.param.collection.HasCollectionParam;
import io.milvus.param.collection.LoadCollectionParam;
import io.milvus.param.collection.ShowCollectionsParam;
import io.milvus.param.dml.DeleteParam;
import io.milvus.param.dml.InsertParam;
import io.milvus.param.dml.QueryParam;
import io.milvus.param.dml.SearchParam;
import io.milvus.param.dml.UpsertParam;
import io.milvus.param.index.CreateIndexParam;
import io.milvus.param.index.DescribeIndexParam;
import io.milvus.response.QueryResultsWrapper;
import io.milvus.response.SearchResultsWrapper;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.common.IndexParam;
import io.milvus.v2.service.collection.request.AddFieldReq;
import io.milvus.v2.service.collection.request.CreateCollectionReq;
import io.milvus.v2.service.collection.request.DropCollectionReq;
import io.milvus.v2.service.collection.request.GetCollectionStatsReq;
import io.milvus.v2.service.collection.request.HasCollectionReq;
import io.milvus.v2.service.collection.request.LoadCollectionReq;
import io.milvus.v2.service.vector.request.DeleteReq;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryReq;
import io.milvus.v2.service.vector.request.SearchReq;
import io.milvus.v2.service.vector.request.UpsertReq;
import io.milvus.v2.service.vector.request.data.FloatVec;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The official Java SDK goes through trials, as trials.py says: java Jobs.java v1|v2 HOST:PORT
 *
 * <p>The first version of its interface does what Spring AI's vector store for Milvus calls, in that order.
 */
public final class Jobs {
    private static final Gson JSON = new GsonBuilder().serializeNulls().create();
    private static final String TOKEN = System.getenv("KITEWARD_TOKEN");
    private static final String DATABASE = System.getenv("KITEWARD_DATABASE");

    private Jobs() {}

    /** What is done with a collection, and what comes of it. */
    private interface Job {
        Object run(String collection) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        String uri = "http://" + arguments[1];
        Map<String, Job> jobs = arguments[0].equals("v1") ? new First(uri).jobs() : new Second(uri).jobs();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String[] trial : JSON.fromJson(System.getenv("KITEWARD_TRIALS"), String[][].class)) {
            System.out.println(JSON.toJson(Map.of("pause", trial[0])));
            input.readLine();
            Map<String, Object> line = new LinkedHashMap<>(Map.of("trial", trial[0]));
            try {
                line.put("value", jobs.get(trial[1]).run(trial[2]));
            } catch (Exception error) {
                line.put("refused", String.valueOf(error.getMessage()));
            }
            System.out.println(JSON.toJson(line));
        }
        System.exit(0);
    }

    private static List<JsonObject> rows(int... ids) {
        return IntStream.of(ids).mapToObj(Jobs::row).toList();
    }

    private static JsonObject row(int id) {
        JsonObject row = new JsonObject();
        row.addProperty("id", id);
        row.add("vector", JSON.toJsonTree(List.of(1f, (float) id, 0f, 0f)));
        return row;
    }

    /** The current interface. Its client is made in the first trial, as a program makes one at its start. */
    private static final class Second {
        private final String uri;
        private MilvusClientV2 connected;

        Second(String uri) {
            this.uri = uri;
        }

        private MilvusClientV2 client() {
            if (connected == null) {
                connected = new MilvusClientV2(
                        ConnectConfig.builder().uri(uri).token(TOKEN).dbName(DATABASE).build());
            }
            return connected;
        }

        Map<String, Job> jobs() {
            Map<String, Job> jobs = new LinkedHashMap<>();
            jobs.put("create", this::create);
            jobs.put("search", name -> client().search(SearchReq.builder()
                            .collectionName(name)
                            .annsField("vector")
                            .data(List.of(new FloatVec(List.of(1f, 1f, 0f, 0f))))
                            .limit(1)
                            .build())
                    .getSearchResults().get(0).size());
            jobs.put("query", name -> client().query(
                            QueryReq.builder().collectionName(name).filter("id == 1").build())
                    .getQueryResults().size());
            jobs.put("insert", name -> client().insert(
                            InsertReq.builder().collectionName(name).data(rows(3)).build())
                    .getInsertCnt());
            jobs.put("upsert", name -> client().upsert(
                            UpsertReq.builder().collectionName(name).data(rows(3)).build())
                    .getUpsertCnt());
            jobs.put("delete", name -> client().delete(
                            DeleteReq.builder().collectionName(name).ids(List.of(3)).build())
                    .getDeleteCnt());
            jobs.put("statistics", name -> client().getCollectionStats(
                            GetCollectionStatsReq.builder().collectionName(name).build())
                    .getNumOfEntities());
            jobs.put("load", name -> {
                client().loadCollection(
                        LoadCollectionReq.builder().collectionName(name).build());
                return null;
            });
            jobs.put("exists", name -> client().hasCollection(
                    HasCollectionReq.builder().collectionName(name).build()));
            jobs.put("list", name -> client().listCollections().getCollectionNames());
            jobs.put("drop", name -> {
                client().dropCollection(
                        DropCollectionReq.builder().collectionName(name).build());
                return null;
            });
            return jobs;
        }

        private Object create(String name) {
            CreateCollectionReq.CollectionSchema schema = client().createSchema();
            schema.addField(AddFieldReq.builder()
                    .fieldName("id")
                    .dataType(io.milvus.v2.common.DataType.Int64)
                    .isPrimaryKey(true)
                    .build());
            schema.addField(AddFieldReq.builder()
                    .fieldName("vector")
                    .dataType(io.milvus.v2.common.DataType.FloatVector)
                    .dimension(4)
                    .build());
            IndexParam index = IndexParam.builder()
                    .fieldName("vector")
                    .indexType(IndexParam.IndexType.HNSW)
                    .metricType(IndexParam.MetricType.L2)
                    .extraParams(Map.of("M", 8, "efConstruction", 64))
                    .build();
            client().createCollection(CreateCollectionReq.builder()
                    .collectionName(name)
                    .collectionSchema(schema)
                    .indexParams(List.of(index))
                    .build());
            return client().insert(InsertReq.builder().collectionName(name).data(rows(1, 2)).build())
                    .getInsertCnt();
        }
    }

    /** The interface of the first version, which Spring AI uses. */
    private static final class First {
        private final String uri;
        private MilvusServiceClient connected;

        First(String uri) {
            this.uri = uri;
        }

        private MilvusServiceClient client() {
            if (connected == null) {
                String[] parts = TOKEN.split(":", 2);
                connected = new MilvusServiceClient(ConnectParam.newBuilder()
                        .withUri(uri)
                        .withAuthorization(parts[0], parts[1])
                        .withDatabaseName(DATABASE)
                        .build());
            }
            return connected;
        }

        /** Throws what an answer carries as its failure. */
        private static <T> T checked(R<T> answer) throws Exception {
            if (answer.getException() != null) {
                throw answer.getException();
            }
            return answer.getData();
        }

        Map<String, Job> jobs() {
            Map<String, Job> jobs = new LinkedHashMap<>();
            jobs.put("create", this::create);
            jobs.put("search", this::search);
            jobs.put("query", name -> new QueryResultsWrapper(checked(client().query(QueryParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .withExpr("id == 1")
                            .build())))
                    .getRowCount());
            jobs.put("insert", name -> checked(client().insert(InsertParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .withRows(rows(3))
                            .build()))
                    .getInsertCnt());
            jobs.put("upsert", name -> checked(client().upsert(UpsertParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .withRows(rows(3))
                            .build()))
                    .getUpsertCnt());
            jobs.put("delete", name -> checked(client().delete(DeleteParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .withExpr("id in [3]")
                            .build()))
                    .getDeleteCnt());
            jobs.put("statistics", name -> checked(client().getCollectionStatistics(
                            GetCollectionStatisticsParam.newBuilder()
                                    .withDatabaseName(DATABASE)
                                    .withCollectionName(name)
                                    .build()))
                    .getStatsCount());
            jobs.put("load", this::load);
            jobs.put("exists", this::exists);
            jobs.put("list", name -> checked(client().showCollections(ShowCollectionsParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .build()))
                    .getCollectionNamesList().stream().toList());
            jobs.put("drop", name -> checked(client().dropCollection(DropCollectionParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .build()))
                    .getMsg());
            return jobs;
        }

        private Object exists(String name) throws Exception {
            return checked(client().hasCollection(HasCollectionParam.newBuilder()
                    .withDatabaseName(DATABASE)
                    .withCollectionName(name)
                    .build()));
        }

        private Object load(String name) throws Exception {
            return checked(client().loadCollection(LoadCollectionParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .build()))
                    .getMsg();
        }

        private Object search(String name) throws Exception {
            SearchParam request = SearchParam.newBuilder()
                    .withDatabaseName(DATABASE)
                    .withCollectionName(name)
                    .withVectorFieldName("vector")
                    .withFloatVectors(List.of(List.of(1f, 1f, 0f, 0f)))
                    .withMetricType(MetricType.L2)
                    .withOutFields(List.of("id"))
                    .withTopK(1)
                    .build();
            SearchResultsWrapper found = new SearchResultsWrapper(checked(client().search(request)).getResults());
            return found.getRowRecords(0).size();
        }

        private Object create(String name) throws Exception {
            exists(name);
            checked(client().createCollection(CreateCollectionParam.newBuilder()
                    .withDatabaseName(DATABASE)
                    .withCollectionName(name)
                    .withSchema(CollectionSchemaParam.newBuilder()
                            .addFieldType(FieldType.newBuilder()
                                    .withName("id")
                                    .withDataType(DataType.Int64)
                                    .withPrimaryKey(true)
                                    .build())
                            .addFieldType(FieldType.newBuilder()
                                    .withName("vector")
                                    .withDataType(DataType.FloatVector)
                                    .withDimension(4)
                                    .build())
                            .build())
                    .build()));
            client().describeIndex(DescribeIndexParam.newBuilder()
                    .withDatabaseName(DATABASE)
                    .withCollectionName(name)
                    .build());
            checked(client().createIndex(CreateIndexParam.newBuilder()
                    .withDatabaseName(DATABASE)
                    .withCollectionName(name)
                    .withFieldName("vector")
                    .withIndexType(IndexType.IVF_FLAT)
                    .withMetricType(MetricType.L2)
                    .withExtraParam("{\"nlist\":1024}")
                    .build()));
            load(name);
            return checked(client().insert(InsertParam.newBuilder()
                            .withDatabaseName(DATABASE)
                            .withCollectionName(name)
                            .withRows(rows(1, 2))
                            .build()))
                    .getInsertCnt();
        }
    }
}
