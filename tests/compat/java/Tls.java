import com.google.gson.Gson;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;

/** Lists users over TLS with the official Java SDK: java Tls.java HOST:PORT CA */
public final class Tls {
    private Tls() {}

    public static void main(String[] arguments) {
        ConnectConfig config = ConnectConfig.builder()
                .uri("https://" + arguments[0])
                .token("root:Milvus")
                .secure(true)
                .serverPemPath(arguments[1])
                .serverName("localhost")
                .build();
        MilvusClientV2 client = new MilvusClientV2(config);
        System.out.println(new Gson().toJson(client.listUsers()));
        client.close();
    }
}
