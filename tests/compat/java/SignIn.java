import com.google.gson.Gson;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.service.vector.request.SearchReq;
import io.milvus.v2.service.vector.request.data.FloatVec;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Signs in with tokens by the official Java SDK, searches and lists: java SignIn.java HOST:PORT COLLECTION
 *
 * <p>Each line of the standard input is a token. For each, a client of its own searches the collection for its first row
 * and lists what it may see, and one line of JSON says what it got, or the sentence by which it was refused.
 */
public final class SignIn {
    private static final Gson JSON = new Gson();

    private SignIn() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String token = input.readLine(); token != null; token = input.readLine()) {
            long begun = System.nanoTime();
            Map<String, Object> seen = new LinkedHashMap<>();
            try {
                seen.putAll(signIn("http://" + arguments[0], token, arguments[1]));
            } catch (RuntimeException error) {
                seen.put("refused", String.valueOf(error.getMessage()));
            }
            seen.put("seconds", (System.nanoTime() - begun) / 1e9);
            System.out.println(JSON.toJson(seen));
        }
    }

    private static Map<String, Object> signIn(String uri, String token, String collection) {
        ConnectConfig config = ConnectConfig.builder().uri(uri).token(token).rpcDeadlineMs(30_000).build();
        MilvusClientV2 client = new MilvusClientV2(config);
        try {
            SearchReq request = SearchReq.builder()
                    .collectionName(collection)
                    .annsField("vector")
                    .data(List.of(new FloatVec(List.of(1f, 0f, 0f, 0f))))
                    .limit(1)
                    .build();
            List<Object> found = client.search(request).getSearchResults().get(0).stream()
                    .map(each -> each.getId())
                    .toList();
            List<String> listed =
                    client.listCollections().getCollectionNames().stream().sorted().toList();
            return Map.of("found", found, "collections", listed);
        } finally {
            client.close();
        }
    }
}
