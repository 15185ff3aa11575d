import com.google.gson.Gson;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import java.util.ArrayList;
import java.util.List;

/**
 * Lists collections three times in a row: java Limited.java HOST:PORT TOKEN
 *
 * <p>It prints one line of JSON: what came of each call.
 */
public final class Limited {
    private Limited() {}

    public static void main(String[] arguments) {
        MilvusClientV2 client = new MilvusClientV2(
                ConnectConfig.builder().uri("http://" + arguments[0]).token(arguments[1]).build());
        List<String> seen = new ArrayList<>();
        for (int call = 0; call < 3; call++) {
            try {
                client.listCollections();
                seen.add("ok");
            } catch (Exception error) {
                seen.add(error.getMessage());
            }
        }
        System.out.println(new Gson().toJson(seen));
        client.close();
    }
}
