import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

/**
 * One real OpenSearch node in this JVM, from the jars on its class path:
 *
 *   java -cp 'JARS/*' OsNode HOME [setting=value ...]
 *
 * It is started without the server's own Bootstrap, which wants to be no root and to own the machine.
 */
public class OsNode extends Node {
    /** Modules that a distribution has built in; release 3 gave most of their classes another ending. */
    private static final String[] MODULES = {
        "org.opensearch.transport.Netty4",
        "org.opensearch.analysis.common.CommonAnalysis",
        "org.opensearch.index.mapper.MapperExtras",
        "org.opensearch.painless.Painless",
        "org.opensearch.index.reindex.Reindex",
        "org.opensearch.ingest.common.IngestCommon",
    };

    @SuppressWarnings({"unchecked", "rawtypes"})
    private OsNode(Environment environment, Collection plugins) {
        super(environment, plugins, true);
    }

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));
        Settings.Builder settings = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "test")
            .put("node.name", "n1")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.port", 0)
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (int at = 1; at < args.length; at++) {
            int equals = args[at].indexOf('=');
            settings.put(args[at].substring(0, equals), args[at].substring(equals + 1));
        }
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), home.resolve("config"), () -> "n1");
        Node node = new OsNode(environment, modules()).start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        var address = node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress();
        System.out.println("READY " + address.getPort() + " version=" + Version.CURRENT);
        new CountDownLatch(1).await();
    }

    /** Release 2 takes classes, release 3 descriptions of them. */
    private static List<Object> modules() {
        List<Object> modules = new ArrayList<>();
        for (String stem : MODULES) {
            Class<?> module = find(stem + "ModulePlugin", stem + "Plugin");
            if (module == null) continue;
            String name = module.getName();
            modules.add(Version.CURRENT.major < 3 ? module
                : new PluginInfo(name, "module", "NA", Version.CURRENT, "11", name, null, List.of(), false));
        }
        return modules;
    }

    /** Null where its jar is not on the class path: a plug-in may have brought its own. */
    private static Class<?> find(String... names) {
        for (String name : names) {
            try {
                return Class.forName(name);
            } catch (ClassNotFoundException absent) {
                continue;
            }
        }
        return null;
    }

    private static void close(Node node) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
