import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.common.ConsistencyLevel;
import io.milvus.v2.common.DataType;
import io.milvus.v2.common.IndexParam;
import io.milvus.v2.service.collection.request.AddFieldReq;
import io.milvus.v2.service.collection.request.CreateCollectionReq;
import io.milvus.v2.service.collection.request.DropCollectionReq;
import io.milvus.v2.service.collection.request.HasCollectionReq;
import io.milvus.v2.service.collection.request.LoadCollectionReq;
import io.milvus.v2.service.collection.request.ReleaseCollectionReq;
import io.milvus.v2.service.collection.request.RenameCollectionReq;
import io.milvus.v2.service.database.request.CreateDatabaseReq;
import io.milvus.v2.service.index.request.CreateIndexReq;
import io.milvus.v2.service.partition.request.CreatePartitionReq;
import io.milvus.v2.service.rbac.request.*;
import io.milvus.v2.service.utility.request.CreateAliasReq;
import io.milvus.v2.service.utility.request.FlushReq;
import io.milvus.v2.service.vector.request.DeleteReq;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryReq;
import io.milvus.v2.service.vector.request.SearchReq;
import io.milvus.v2.service.vector.request.UpsertReq;
import io.milvus.v2.service.vector.request.data.FloatVec;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;

/**
 * Walks over everything that the official Java SDK can do with users, roles and data: java Walk.java HOST:PORT
 *
 * <p>Each step prints one line of JSON: its name and what it saw, or the sentence by which it was refused. At a pause the
 * walk waits for a line on its standard input. An API key comes in KITEWARD_API_KEY. tests/compat/walkthrough.py says what
 * each step must print.
 */
public final class Walk {
    private static final String PASSWORD = "Str0ng-enough";
    private static final String NEW_PASSWORD = "An0ther-password";
    private static final Gson JSON = new GsonBuilder().serializeNulls().create();
    private static final String API_KEY = System.getenv("KITEWARD_API_KEY");

    private final BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    private final String uri;

    private Walk(String address) {
        this.uri = "http://" + address;
    }

    /** A call that returns nothing. */
    private interface Action {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws IOException {
        new Walk(arguments[0]).everything();
    }

    private void everything() throws IOException {
        MilvusClientV2 root = signIn("root:Milvus");
        MilvusClientV2 ann = users(root);
        roles(root, ann);
        grants(root, ann);
        privilegeGroups(root, ann);
        data(root, ann);
        everythingElse(ann);
        MilvusClientV2 holder = apiKeys();
        leaving(root, ann);
        errors(root, holder);
        for (MilvusClientV2 client : List.of(root, ann, holder)) {
            client.close();
        }
    }

    private static void say(Map<String, Object> line) {
        System.out.println(JSON.toJson(line));
    }

    /** Makes one call and says what it returned, or by which sentence it was refused. */
    private static void step(String name, Callable<Object> call) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", name);
        long begun = System.nanoTime();
        try {
            line.put("value", call.call());
        } catch (Exception error) {
            line.put("refused", String.valueOf(error.getMessage()));
        }
        line.put("seconds", (System.nanoTime() - begun) / 1e9);
        say(line);
    }

    private static void act(String name, Action action) {
        step(name, () -> {
            action.run();
            return null;
        });
    }

    private void pause(String name) throws IOException {
        say(Map.of("pause", name));
        if (input.readLine() == null) {
            throw new IOException("nobody is there to end the pause");
        }
    }

    private MilvusClientV2 signIn(String token) {
        return new MilvusClientV2(ConnectConfig.builder().uri(uri).token(token).build());
    }

    private static List<String> rolesOf(MilvusClientV2 client, String user) {
        return client.describeUser(DescribeUserReq.builder().userName(user).build()).getRoles().stream().sorted().toList();
    }

    private static List<String> listUsers(MilvusClientV2 client) {
        return client.listUsers().stream().sorted().toList();
    }

    private static List<String> listRoles(MilvusClientV2 client) {
        return client.listRoles().stream().sorted().toList();
    }

    private static List<Float> vector(int number) {
        return List.of(1f, (float) number, 0f, 0f);
    }

    private static List<JsonObject> rows(int count) {
        return IntStream.range(0, count).mapToObj(Walk::row).toList();
    }

    private static JsonObject row(int number) {
        JsonObject row = new JsonObject();
        row.addProperty("id", number);
        row.add("vector", JSON.toJsonTree(vector(number)));
        return row;
    }

    private static Object query(MilvusClientV2 client, String collection) {
        QueryReq request =
                QueryReq.builder().collectionName(collection).filter("id >= 0").outputFields(List.of("id")).build();
        return client.query(request).getQueryResults().stream().map(each -> each.getEntity().get("id")).sorted().toList();
    }

    private static Object search(MilvusClientV2 client, String collection) {
        SearchReq request = SearchReq.builder()
                .collectionName(collection)
                .annsField("vector")
                .data(List.of(new FloatVec(vector(1))))
                .limit(2)
                .build();
        return client.search(request).getSearchResults().get(0).stream().map(each -> each.getId()).toList();
    }

    private static void grant(MilvusClientV2 client, String privilege, String collection) {
        client.grantPrivilegeV2(GrantPrivilegeReqV2.builder()
                .roleName("editors")
                .privilege(privilege)
                .dbName("default")
                .collectionName(collection)
                .build());
    }

    private static void revoke(MilvusClientV2 client, String privilege, String collection) {
        client.revokePrivilegeV2(RevokePrivilegeReqV2.builder()
                .roleName("editors")
                .privilege(privilege)
                .dbName("default")
                .collectionName(collection)
                .build());
    }

    private static void grantV1(MilvusClientV2 client) {
        client.grantPrivilege(GrantPrivilegeReq.builder()
                .roleName("editors")
                .objectType("Collection")
                .privilege("Query")
                .objectName("secrets")
                .build());
    }

    private MilvusClientV2 users(MilvusClientV2 root) {
        CreateUserReq ann = CreateUserReq.builder().userName("ann").password(PASSWORD).build();
        CreateUserReq weak = CreateUserReq.builder().userName("bob").password("password").build();
        UpdatePasswordReq change =
                UpdatePasswordReq.builder().userName("ann").password(PASSWORD).newPassword(NEW_PASSWORD).build();
        act("create_user", () -> root.createUser(ann));
        act("create_user_again", () -> root.createUser(ann));
        act("create_user_weak", () -> root.createUser(weak));
        step("list_users", () -> listUsers(root));
        step("describe_user", () -> rolesOf(root, "ann"));
        act("update_password", () -> root.updatePassword(change));
        act("update_password_wrong_old", () -> root.updatePassword(change));
        act("old_password", () -> signIn("ann:" + PASSWORD));
        MilvusClientV2 client = signIn("ann:" + NEW_PASSWORD);
        step("new_password", () -> rolesOf(client, "ann"));
        return client;
    }

    private static void roles(MilvusClientV2 root, MilvusClientV2 ann) {
        CreateRoleReq editors = CreateRoleReq.builder().roleName("editors").build();
        act("create_role", () -> root.createRole(editors));
        act("create_role_again", () -> root.createRole(editors));
        step("list_roles", () -> listRoles(root));
        act("grant_role", () -> root.grantRole(GrantRoleReq.builder().userName("ann").roleName("editors").build()));
        step("describe_user_with_role", () -> rolesOf(root, "ann"));
        step("missing_privilege", () -> query(ann, "secrets"));
    }

    private static void grants(MilvusClientV2 root, MilvusClientV2 ann) {
        act("grant_v1", () -> grantV1(root));
        step("query_by_v1", () -> query(ann, "secrets"));
        act("revoke_v1", () -> root.revokePrivilege(RevokePrivilegeReq.builder()
                .roleName("editors")
                .objectType("Collection")
                .privilege("Query")
                .objectName("secrets")
                .build()));
        step("query_without_v1", () -> query(ann, "secrets"));
        act("grant_v2", () -> grant(root, "Query", "secrets"));
        step("describe_role", () ->
                root.describeRole(DescribeRoleReq.builder().roleName("editors").build()).getGrantInfos().stream()
                        .map(each -> List.of(
                                each.getObjectType(),
                                each.getObjectName(),
                                each.getDbName(),
                                each.getPrivilege(),
                                each.getGrantor()))
                        .toList());
        step("query_by_v2", () -> query(ann, "secrets"));
        act("revoke_v2", () -> revoke(root, "Query", "secrets"));
        step("query_without_v2", () -> query(ann, "secrets"));
    }

    private static List<String> members(MilvusClientV2 client) {
        return client.listPrivilegeGroups(ListPrivilegeGroupsReq.builder().build()).getPrivilegeGroups().stream()
                .filter(each -> each.getGroupName().equals("readers"))
                .flatMap(each -> each.getPrivileges().stream())
                .sorted()
                .toList();
    }

    private static void privilegeGroups(MilvusClientV2 root, MilvusClientV2 ann) {
        DropPrivilegeGroupReq drop = DropPrivilegeGroupReq.builder().groupName("readers").build();
        act("create_group", () ->
                root.createPrivilegeGroup(CreatePrivilegeGroupReq.builder().groupName("readers").build()));
        act("add_to_group", () -> root.addPrivilegesToGroup(AddPrivilegesToGroupReq.builder()
                .groupName("readers")
                .privileges(List.of("Query", "Search"))
                .build()));
        step("list_groups", () -> members(root));
        act("grant_group", () -> grant(root, "readers", "secrets"));
        step("query_by_group", () -> query(ann, "secrets"));
        act("remove_from_group", () -> root.removePrivilegesFromGroup(RemovePrivilegesFromGroupReq.builder()
                .groupName("readers")
                .privileges(List.of("Query"))
                .build()));
        step("query_without_group", () -> query(ann, "secrets"));
        step("search_by_group", () -> search(ann, "secrets"));
        act("drop_group_in_use", () -> root.dropPrivilegeGroup(drop));
        act("revoke_group", () -> revoke(root, "readers", "secrets"));
        act("drop_group", () -> root.dropPrivilegeGroup(drop));
        step("list_groups_without", () -> members(root));
    }

    private static CreateCollectionReq notes() {
        CreateCollectionReq.CollectionSchema schema = MilvusClientV2.CreateSchema();
        schema.addField(AddFieldReq.builder().fieldName("id").dataType(DataType.Int64).isPrimaryKey(true).build());
        schema.addField(AddFieldReq.builder().fieldName("vector").dataType(DataType.FloatVector).dimension(4).build());
        return CreateCollectionReq.builder()
                .collectionName("notes")
                .collectionSchema(schema)
                .consistencyLevel(ConsistencyLevel.STRONG)
                .build();
    }

    private static void data(MilvusClientV2 root, MilvusClientV2 ann) {
        act("create_collection_without_privilege", () -> ann.createCollection(notes()));
        act("grant_creating", () -> grant(root, "CreateCollection", "*"));
        act("create_collection", () -> ann.createCollection(notes()));
        for (String privilege :
                List.of("CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection")) {
            act("grant_" + privilege, () -> grant(root, privilege, "notes"));
        }
        IndexParam index = IndexParam.builder()
                .fieldName("vector")
                .indexType(IndexParam.IndexType.AUTOINDEX)
                .metricType(IndexParam.MetricType.L2)
                .build();
        act("create_index", () ->
                ann.createIndex(CreateIndexReq.builder().collectionName("notes").indexParams(List.of(index)).build()));
        act("load", () -> ann.loadCollection(LoadCollectionReq.builder().collectionName("notes").build()));
        step("insert", () ->
                ann.insert(InsertReq.builder().collectionName("notes").data(rows(10)).build()).getInsertCnt());
        step("search", () -> search(ann, "notes"));
        step("query", () -> query(ann, "notes"));
        List<JsonObject> many = rows(10_000).subList(10, 10_000);
        step("insert_large", () ->
                ann.insert(InsertReq.builder().collectionName("notes").data(many).build()).getInsertCnt());
        act("delete", () -> ann.delete(DeleteReq.builder().collectionName("notes").filter("id >= 3").build()));
        step("query_after_delete", () -> query(ann, "notes"));
    }

    private static void everythingElse(MilvusClientV2 ann) {
        act("upsert", () -> ann.upsert(UpsertReq.builder().collectionName("notes").data(rows(1)).build()));
        act("flush", () -> ann.flush(FlushReq.builder().collectionNames(List.of("notes")).build()));
        act("release", () ->
                ann.releaseCollection(ReleaseCollectionReq.builder().collectionName("notes").build()));
        act("rename", () -> ann.renameCollection(
                RenameCollectionReq.builder().collectionName("notes").newCollectionName("mine").build()));
        act("create_partition", () -> ann.createPartition(
                CreatePartitionReq.builder().collectionName("notes").partitionName("p").build()));
        act("create_alias", () -> ann.createAlias(CreateAliasReq.builder().collectionName("notes").alias("a").build()));
        act("create_database", () -> ann.createDatabase(CreateDatabaseReq.builder().databaseName("db").build()));
        act("create_user_by_ann", () ->
                ann.createUser(CreateUserReq.builder().userName("eve").password(PASSWORD).build()));
        act("drop_user_by_ann", () -> ann.dropUser(DropUserReq.builder().userName("keyholder").build()));
        step("list_users_by_ann", () -> listUsers(ann));
        step("describe_other_by_ann", () -> rolesOf(ann, "root"));
        act("create_role_by_ann", () -> ann.createRole(CreateRoleReq.builder().roleName("mine").build()));
        act("grant_role_by_ann", () ->
                ann.grantRole(GrantRoleReq.builder().userName("ann").roleName("admin").build()));
        act("grant_v1_by_ann", () -> grantV1(ann));
        act("grant_v2_by_ann", () -> grant(ann, "Query", "*"));
        act("create_group_by_ann", () ->
                ann.createPrivilegeGroup(CreatePrivilegeGroupReq.builder().groupName("mine").build()));
        step("query_other", () -> query(ann, "secrets"));
        step("search_other", () -> search(ann, "secrets"));
        act("drop_other", () -> ann.dropCollection(DropCollectionReq.builder().collectionName("secrets").build()));
        step("has_other", () -> ann.hasCollection(HasCollectionReq.builder().collectionName("secrets").build()));
        step("list_collections", () -> ann.listCollections().getCollectionNames());
        act("drop_collection", () -> ann.dropCollection(DropCollectionReq.builder().collectionName("notes").build()));
        step("list_collections_after", () -> ann.listCollections().getCollectionNames());
    }

    private MilvusClientV2 apiKeys() {
        MilvusClientV2 holder = signIn(API_KEY);
        step("key_describes_its_user", () -> rolesOf(holder, "keyholder"));
        step("key_queries", () -> query(holder, "secrets"));
        step("key_searches_without_privilege", () -> search(holder, "secrets"));
        step("key_lists_users", () -> listUsers(holder));
        act("wrong_key", () -> signIn(API_KEY + "x"));
        return holder;
    }

    private static void leaving(MilvusClientV2 root, MilvusClientV2 ann) {
        DropRoleReq drop = DropRoleReq.builder().roleName("editors").build();
        act("revoke_role", () -> root.revokeRole(RevokeRoleReq.builder().userName("ann").roleName("editors").build()));
        act("after_revoke_role", () ->
                ann.createCollection(CreateCollectionReq.builder().collectionName("late").dimension(4).build()));
        act("drop_role_with_grants", () -> root.dropRole(drop));
        act("revoke_last_grant", () -> revoke(root, "CreateCollection", "*"));
        act("drop_role", () -> root.dropRole(drop));
        step("list_roles_after", () -> listRoles(root));
        act("drop_user", () -> root.dropUser(DropUserReq.builder().userName("ann").build()));
        step("after_drop_user", () -> rolesOf(ann, "ann"));
        step("list_users_after", () -> listUsers(root));
    }

    private void errors(MilvusClientV2 root, MilvusClientV2 holder) throws IOException {
        pause("before_wrong_password");
        act("wrong_password", () -> signIn("keyholder:Wr0ng-guess"));
        pause("after_wrong_password");
        act("unknown_user", () -> signIn("nobody:Wr0ng-guess"));
        act("no_credential", () -> new MilvusClientV2(ConnectConfig.builder().uri(uri).build()));
        pause("restart");
        step("root_while_server_is_away", () -> listUsers(root));
        pause("back");
        step("root_after_restart", () -> listUsers(root));
        step("key_after_restart", () -> query(holder, "secrets"));
    }
}
