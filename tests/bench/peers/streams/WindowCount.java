// The stream processor one would otherwise write: serin.v1.Batch records of a topic, counted
// by rollout, cohort, metric and second, to an output topic.
//
// java WindowCount BOOTSTRAP TOPIC MESSAGES [--merge] [--threads N] [--exactly-once]
// --merge: what one message says of one window is added up before it is sent on; without it
// every sample is a record, as in the usual flatMap.
//
// Made cheap where one may argue: a parser by hand that makes no objects per field, values of
// 16 bytes, an in-memory store without a changelog. Prints one JSON object; the sums in it are
// read back from the output topic.
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.Stores;

public final class WindowCount {
    static final LongAdder messages = new LongAdder(), samples = new LongAdder();
    static final LongAdder sent = new LongAdder(), counted = new LongAdder();

    /** One column after the other out of a Batch; fields by number as in serin.proto. */
    static final class Parser {
        private byte[] b;
        private int at;

        long varint() {
            long v = 0;
            for (int shift = 0; ; shift += 7) {
                byte c = b[at++];
                v |= (long) (c & 0x7f) << shift;
                if (c >= 0) return v;
            }
        }

        private void skip(int type) {
            if (type == 0) varint();
            else if (type == 2) { int n = (int) varint(); at += n; }
            else if (type == 1) at += 8;
            else at += 4;
        }

        void batch(byte[] record, Emit emit) {
            b = record;
            at = 0;
            while (at < record.length) {
                int tag = (int) varint();
                if (tag == (2 << 3 | 2)) {
                    int n = (int) varint();
                    column(at + n, emit);
                } else skip(tag & 7);
            }
        }

        private String text(int from, int n) {
            return n == 0 ? "" : new String(b, from, n, StandardCharsets.UTF_8);
        }

        private void column(int end, Emit emit) {
            int rollout = 0, nRollout = 0, cohort = 0, nCohort = 0, metric = 0, nMetric = 0;
            int dt = 0, dtEnd = 0, n = 0, nEnd = 0, bad = 0, badEnd = 0;
            long base = 0;
            while (at < end) {
                int tag = (int) varint(), field = tag >> 3;
                if (field == 6) { base = varint(); continue; }
                if ((tag & 7) != 2) { skip(tag & 7); continue; }
                int len = (int) varint(), from = at;
                at += len;
                switch (field) {
                    case 1: rollout = from; nRollout = len; break;
                    case 3: cohort = from; nCohort = len; break;
                    case 5: metric = from; nMetric = len; break;
                    case 7: dt = from; dtEnd = at; break;
                    case 8: n = from; nEnd = at; break;
                    case 9: bad = from; badEnd = at; break;
                    default: break;
                }
            }
            String key = text(rollout, nRollout) + '|' + text(cohort, nCohort) + '|'
                + text(metric, nMetric);
            long t = base;
            while (bad < badEnd) {
                if (dt < dtEnd) {
                    at = dt;
                    long z = varint();
                    dt = at;
                    t += z >>> 1 ^ -(z & 1);
                }
                long units = 1;
                if (n < nEnd) { at = n; units = varint(); n = at; }
                at = bad;
                long wrong = varint();
                bad = at;
                emit.sample(key, t, units, wrong);
            }
            at = end;
            emit.end(key);
        }
    }

    interface Emit {
        void sample(String key, long t, long n, long bad);
        void end(String key);
    }

    static byte[] pair(long n, long bad) {
        return ByteBuffer.allocate(16).putLong(n).putLong(bad).array();
    }

    static final class Decode implements Processor<byte[], byte[], String, byte[]>, Emit {
        private final boolean merge;
        private final Parser parser = new Parser();
        private ProcessorContext<String, byte[]> context;
        private Record<byte[], byte[]> record;
        private long window = -1, n, bad;

        Decode(boolean merge) { this.merge = merge; }

        @Override public void init(ProcessorContext<String, byte[]> c) { context = c; }

        @Override public void process(Record<byte[], byte[]> r) {
            record = r;
            parser.batch(r.value(), this);
            messages.increment();
        }

        private void forward(String key, long t, long units, long wrong) {
            sent.increment();
            context.forward(record.withKey(key).withValue(pair(units, wrong)).withTimestamp(t));
        }

        @Override public void sample(String key, long t, long units, long wrong) {
            samples.increment();
            if (!merge) { forward(key, t, units, wrong); return; }
            long w = t - t % 1000;
            if (w != window) { end(key); window = w; }
            n += units;
            bad += wrong;
        }

        @Override public void end(String key) {
            if (window >= 0) forward(key, window, n, bad);
            window = -1;
            n = bad = 0;
        }
    }

    static byte[] add(byte[] value, byte[] to) {
        counted.increment();
        ByteBuffer a = ByteBuffer.wrap(value), b = ByteBuffer.wrap(to);
        return pair(a.getLong() + b.getLong(), a.getLong() + b.getLong());
    }

    static KafkaStreams build(String bootstrap, String topic, String out, boolean merge,
                              int threads, boolean exactlyOnce) {
        StreamsBuilder b = new StreamsBuilder();
        b.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .process(() -> new Decode(merge))
            .groupByKey(Grouped.with(Serdes.String(), Serdes.ByteArray()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(1), Duration.ofHours(1)))
            .aggregate(() -> new byte[16], (k, v, to) -> add(v, to),
                Materialized.<String, byte[]>as(Stores.inMemoryWindowStore("counts",
                        Duration.ofHours(2), Duration.ofSeconds(1), false))
                    .withKeySerde(Serdes.String()).withValueSerde(Serdes.ByteArray())
                    .withLoggingDisabled())
            .toStream((k, v) -> k.key() + '@' + k.window().start())
            .to(out, Produced.with(Serdes.String(), Serdes.ByteArray()));
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-" + System.nanoTime());
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, threads);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        p.put(StreamsConfig.STATE_DIR_CONFIG, System.getProperty("java.io.tmpdir"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, exactlyOnce
            ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        p.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        p.put(StreamsConfig.consumerPrefix("max.poll.records"), 10000);
        p.put(StreamsConfig.consumerPrefix("fetch.min.bytes"), 65536);
        p.put(StreamsConfig.consumerPrefix("fetch.max.wait.ms"), 50);
        p.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        p.put(StreamsConfig.producerPrefix("linger.ms"), 5);
        p.put(StreamsConfig.producerPrefix("batch.size"), 131072);
        return new KafkaStreams(b.build(), p);
    }

    /** The last value of each window in the output topic, added up. */
    static long[] sums(String bootstrap, String out) {
        Map<String, long[]> last = new HashMap<>();
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("isolation.level", "read_committed");
        try (KafkaConsumer<byte[], byte[]> c = new KafkaConsumer<>(p,
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = c.partitionsFor(out).stream()
                .map(i -> new TopicPartition(out, i.partition())).toList();
            c.assign(all);
            c.seekToBeginning(all);
            Map<TopicPartition, Long> ends = c.endOffsets(all);
            while (all.stream().anyMatch(t -> c.position(t) < ends.get(t)))
                for (ConsumerRecord<byte[], byte[]> r : c.poll(Duration.ofMillis(200))) {
                    ByteBuffer v = ByteBuffer.wrap(r.value());
                    last.put(new String(r.key(), StandardCharsets.UTF_8),
                        new long[] {v.getLong(), v.getLong()});
                }
        }
        long[] sum = new long[2];
        for (long[] v : last.values()) { sum[0] += v[0]; sum[1] += v[1]; }
        return sum;
    }

    static long rssKib() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", ""));
        return 0;
    }

    public static void main(String[] args) throws Exception {
        List<String> a = List.of(args);
        String bootstrap = a.get(0), topic = a.get(1), out = topic + "-streams-" + System.nanoTime();
        long expected = Long.parseLong(a.get(2));
        int threads = a.contains("--threads")
            ? Integer.parseInt(a.get(a.indexOf("--threads") + 1)) : 1;
        boolean merge = a.contains("--merge");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(out, 4, (short) 1))).all().get();
        }
        OperatingSystemMXBean os =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        try (KafkaStreams s = build(bootstrap, topic, out, merge, threads,
                a.contains("--exactly-once"))) {
            s.start();
            while (s.state() != KafkaStreams.State.RUNNING && messages.sum() == 0)
                Thread.sleep(1);
            long wall = System.nanoTime(), cpu = os.getProcessCpuTime();
            while (messages.sum() < expected || counted.sum() < sent.sum()) {
                if (s.state() == KafkaStreams.State.ERROR) throw new IllegalStateException("error");
                Thread.sleep(2);
            }
            wall = System.nanoTime() - wall;
            cpu = os.getProcessCpuTime() - cpu;
            s.close();
            long[] sum = sums(bootstrap, out);
            System.out.printf("{\"reader\":\"%s\",\"messages\":%d,\"samples\":%d,"
                + "\"units\":%d,\"bad\":%d,\"seconds\":%.3f,\"cpu_s\":%.3f,\"rss_kib\":%d}%n",
                merge ? "streams-merge" : "streams", messages.sum(), samples.sum(), sum[0],
                sum[1], wall / 1e9, cpu / 1e9, rssKib());
        }
    }
}
