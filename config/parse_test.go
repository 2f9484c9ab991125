package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sublet-hpc/sublet/devices"
)

// parsers are the readers of this package, by the name of the template that each reads.
var parsers = map[string]func(string, []byte) (any, error){
	"devices.json":            plain(ParseDevices),
	"resource_manager.json":   plain(ParseResourceManager),
	"executor_manager.json":   plain(ParseExecutorManager),
	"executors_database.json": plain(ParseExecutors),
	"benchmark.json":          plain(ParseBenchmark),
}

func plain[T any](parse func(string, []byte) (T, error)) func(string, []byte) (any, error) {
	return func(name string, content []byte) (any, error) { return parse(name, content) }
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// fill puts values where a template has placeholders, as the tutorial's jq lines do.
var fill = strings.NewReplacer("IBV_DEVICE_NAME", "rxe0", "IP_ADDRESS", "192.168.0.21",
	"<rdma-device>", "rxe0", "<exec-mgr-address>", "192.168.0.21")

var compare = cmp.Options{cmp.AllowUnexported(Secret{}), cmpopts.EquateEmpty()}

func TestTemplatesAreRead(t *testing.T) {
	want := map[string]any{
		"devices.json": devices.Database{Devices: []devices.Device{{Name: "rxe0", Address: "192.168.0.21", Port: 10000, ReceiveBufferSize: 32}}},
		"resource_manager.json": ResourceManager{
			DevicePort: 10000, HTTPAddress: "0.0.0.0", HTTPPort: 5000, Threads: 1, Secret: Secret{42}, Sleep: true,
		},
		"executor_manager.json": ExecutorManager{
			Device: "rxe0", DevicePort: 10005, NodeName: "exec-mgr-node", ResourceManagerSecret: Secret{42}, Sleep: true, Repetitions: 100,
		},
		"executors_database.json": Executors{[]Executor{{Node: "exec-mgr-node", Address: "192.168.0.21", Port: 10005, Cores: 1, Memory: 512}}},
		"benchmark.json":          Benchmark{DevicePort: 10006, Repetitions: 100, Cores: 1, Memory: 256, HotTimeout: -1},
	}
	for name, parse := range parsers {
		got, err := parse(name, []byte(fill.Replace(read(t, name))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want[name], got, compare); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A template with placeholders is refused by the lines that have them.
func TestPlaceholders(t *testing.T) {
	for name, lines := range map[string][]int{
		"devices.json": {4, 5}, "executor_manager.json": {3}, "executors_database.json": {5}, "benchmark.json": nil, "resource_manager.json": nil,
	} {
		_, err := parsers[name](name, []byte(read(t, name)))
		if got := linesOf(err); !cmp.Equal(got, lines, cmpopts.EquateEmpty()) {
			t.Errorf("%s: mistakes on lines %v, want %v: %v", name, got, lines, err)
		}
	}
}

// linesOf are the lines of the mistakes that an error tells of.
func linesOf(err error) (lines []int) {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range all.Unwrap() {
			lines = append(lines, linesOf(one)...)
		}
		return lines
	}
	var mistake *Error
	if errors.As(err, &mistake) {
		return []int{mistake.Line}
	}
	return nil
}

// rFaaS's README, older than its tutorial, leaves keys out.
func TestMissingKeysHaveDefaults(t *testing.T) {
	for _, c := range []struct {
		file, content string
		want          any
	}{
		{
			"executor_manager.json", `{"config": {"rdma_device": "rocep61s0", "rdma_device_port": 10006, "resource_manager_address": "",
				"resource_manager_port": 0, "resource_manager_secret": 0},
				"executor": {"use_docker": false, "repetitions": 100, "warmup_iters": 0, "pin_threads": false}}`,
			ExecutorManager{Device: "rocep61s0", DevicePort: 10006, Sleep: true, Repetitions: 100},
		},
		{"executor_manager.json", `{"config": {}}`, ExecutorManager{Sleep: true, Repetitions: 100, PinThreads: Pinning{Pin: true}}},
		{
			"executors_database.json", `{"executors": [{"port": 10006, "cores": 1, "address": "192.168.0.21"}]}`,
			Executors{[]Executor{{Address: "192.168.0.21", Port: 10006, Cores: 1}}},
		},
		{
			"benchmark.json", `{"config": {"rdma_device": "", "rdma_device_port": 0, "resource_manager_address": "", "resource_manager_port": 0},
				"benchmark": {"pin_threads": [2, 0], "repetitions": 20, "warmup_repetitions": 0, "numcores": 1, "hot_timeout": -1}}`,
			Benchmark{PinThreads: Pinning{Pin: true, Cores: []int{2, 0}}, Repetitions: 20, Cores: 1, HotTimeout: -1},
		},
		{"resource_manager.json", `{"config": {}}`, ResourceManager{DevicePort: 10000, HTTPAddress: "127.0.0.1", HTTPPort: 5000, Threads: 1, Sleep: true}},
		// rFaaS's generator, with a key of a later version of it.
		{
			"devices.json", `{"devices": [{"name": "mlx5_0", "ip_address": "10.0.0.7", "port": 0, "default_receive_buffer_size": 32, "max_inline_data": 0, "netdev": "ib0"}]}`,
			devices.Database{Devices: []devices.Device{{Name: "mlx5_0", Address: "10.0.0.7", ReceiveBufferSize: 32, NetDev: "ib0"}}},
		},
		{"executors_database.json", `{"executors": []}`, Executors{}},
	} {
		got, err := parsers[c.file](c.file, []byte(c.content))
		if err != nil {
			t.Errorf("%s: %v", c.content, err)
		}
		if diff := cmp.Diff(c.want, got, compare); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.content, diff)
		}
	}
}

func TestMistakes(t *testing.T) {
	device := func(rest string) string {
		return "{\n  \"devices\": [\n    {\n      \"name\": \"a\", \"ip_address\": \"10.0.0.1\",\n      " + rest + "\n    }\n  ]\n}\n"
	}
	for _, c := range []struct{ file, content, want string }{
		{"devices.json", "", "devices.json:1: the file is empty"},
		{"devices.json", "{\n\"devices\": [\n", "devices.json:3: the file ends too early"},
		{"devices.json", "[]", "devices.json:1: the file is an array; it is an object"},
		{"devices.json", "{\n}", "devices.json:1: the file lacks the key devices: "},
		{"devices.json", `{"devices": []}`, "devices.json names no device; sublet devices writes"},
		{"devices.json", device(`"port": 70000`), "devices.json:5: devices[0].port is 70000; it is a whole number, 0 to 65535"},
		{"devices.json", device(`"port": -1`), "devices.json:5: devices[0].port is -1; it is"},
		{"devices.json", device(`"port": 1e3`), "devices.json:5: devices[0].port is 1e3; it is a whole number"},
		{"devices.json", device(`"port": "10000"`), `devices.json:5: devices[0].port is "10000"; it is a whole number`},
		{"devices.json", device(`"port": {"a": [1, {}]}, "prot": 1`), `devices.json:5: devices[0].port is an object; it is a whole number, 0 to 65535
devices.json:5: devices[0] has no key "prot"; there are name, ip_address, port, max_inline_data, default_receive_buffer_size, netdev, provider, state, numa_node, node`},
		{"devices.json", device(`"Port": 1`), `devices.json:5: devices[0] has no key "Port"`},
		{"devices.json", device(`"port": 1, "port": 2`), "devices.json:5: devices[0].port stands here for the second time"},
		{"devices.json", device(`"provider": "udp"`), `devices.json:5: devices[0].provider is "udp"; it is verbs, cxi, efa, tcp, shm`},
		{"devices.json", device(`"port": PORT_NUMBER`), "devices.json:5: invalid character 'P' looking for beginning of value: text stands in quotation marks"},
		{"devices.json", device(`"port": <PORT_NUMBER>`), "what is in <> or in capitals in a template is to be replaced"},
		{"devices.json", device(`"port": 1,`), "is there a comma too many"},
		{"devices.json", device(`"node": "a\u0000b"`), `devices.json:5: devices[0].node is "a\x00b"; it is a name`},
		{"devices.json", device(`"port": 0`) + "{}", "devices.json:9: something follows the end"},
		{"devices.json", `{"devices": [{"name": "a"}]}`, "devices.json:1: devices[0] lacks the key ip_address: its address"},
		{"devices.json", `{"devices": [{"name": "", "ip_address": "1.2.3.400"}]}`, `devices.json:1: devices[0].name is ""; it is a name that is not empty
devices.json:1: devices[0].ip_address is "1.2.3.400"; it is an IP address or the name of a host, or empty`},
		{"devices.json", "{\"devices\": [{\"name\": \"a\", \"ip_address\": \"\"},\n{\"name\": \"a\", \"ip_address\": \"\"}]}", `devices.json:2: devices[1] has the name "a", as the device that ends on line 1 has`},
		// The example of the tutorial itself, whose comma is missing.
		{
			"executors_database.json", "{\n  \"executors\": [\n    {\n      \"node\": \"exec-mgr-node\",\n      \"address\": \"192.168.0.21\"\n      \"port\": 10005\n    }\n  ]\n}\n",
			`executors_database.json:6: invalid character '"' after object key:value pair: a comma is missing before it, on this line or the one above`,
		},
		{"executors_database.json", `{"executors": [{"address": "h", "port": 0}]}`, "executors[0].port is 0; it is a whole number, 1 to 65535"},
		{"executors_database.json", `{"executors": [{"address": "-h", "port": 1}]}`, `executors[0].address is "-h"; it is an IP address or the name`},
		{"executors_database.json", `{"executors": [{"address": "h", "port": 1, "cores": -4}]}`, "executors[0].cores is -4; it is a whole number, 1 to"},
		{"executors_database.json", `{"executors": [{"address": "h", "port": 1, "memory": -4}]}`, "executors[0].memory is -4; it is a whole number from 0 on"},
		{"executors_database.json", `{"executors": [{"address": "h", "port": 1}, {"address": "h", "port": 1}]}`, "executors[1] has the address h:1, as executors[0] has"},
		{"executors_database.json", `{"executors": [{"address": "h", "port": 1, "node": "n"}, {"address": "g", "port": 1, "node": "n"}]}`, `executors[1] has the name "n", as executors[0] has`},
		{"executors_database.json", `{"executors": {}}`, "executors is an object; it is an array of executor managers"},
		{"executor_manager.json", `{"config": {}, "executor": {"use_docker": true}}`, "executor.use_docker is true; it is false: executors are processes"},
		{"executor_manager.json", `{"config": {}, "executor": {"pin_threads": [0, 0]}}`, "executor.pin_threads[1] is 0 for the second time"},
		{"executor_manager.json", `{"config": {}, "executor": {"pin_threads": []}}`, "executor.pin_threads is an empty array; it is true, false or an array"},
		{"executor_manager.json", `{"config": {}, "executor": {"pin_threads": [-1, "a"]}}`, "executor.pin_threads[0] is -1; it is a whole number"},
		{"executor_manager.json", `{"config": {}, "executor": {"pin_threads": 1}}`, "executor.pin_threads is 1; it is true, false or an array"},
		{"executor_manager.json", `{"config": {"rdma-sleep": 0}}`, "config.rdma-sleep is 0; it is true or false"},
		{"executor_manager.json", `{"config": null}`, "config is null; it is an object"},
		{"executor_manager.json", `{"executor": {}}`, "the file lacks the key config"},
		{"benchmark.json", `{"config": {}, "benchmark": {"hot_timeout": -2}}`, "benchmark.hot_timeout is -2; it is a whole number, -1 to"},
		{"benchmark.json", `{"config": {}, "benchmark": {"repetitions": 99999999999}}`, "benchmark.repetitions is 99999999999; it is a whole number from 1 on"},
		{"resource_manager.json", `{"config": {"http_network_address": ""}}`, `config.http_network_address is ""; it is an IP address`},
	} {
		got, err := parsers[c.file](c.file, []byte(c.content))
		if err == nil {
			t.Errorf("%s was read as %+v", c.content, got)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nthat should say %s", c.content, err, c.want)
		}
	}
}

// A file full of mistakes does not fill the screen.
func TestManyMistakes(t *testing.T) {
	_, err := ParseExecutorManager("e.json", []byte(`{"config": {`+strings.Repeat(`"x": [[[]]], `, 1000)+`"y": 1}}`))
	if got := len(linesOf(err)); got != maxErrors+1 || !strings.HasSuffix(err.Error(), "more mistakes like these") {
		t.Errorf("%d errors: %v", got, err)
	}
}

func TestSecretsAreNotTold(t *testing.T) {
	c, err := ParseResourceManager("r.json", []byte(`{"config": {"rdma-secret": 918273645}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Secret.Number() != 918273645 {
		t.Errorf("the secret is %d", c.Secret.Number())
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("read", "settings", c, "secret", c.Secret)
	_, err = ParseResourceManager("r.json", []byte(`{"config": {"rdma-secret": "918273645"}}`))
	for _, told := range []string{fmt.Sprintf("%v %+v %#v %s %d %x", c, c, c, c.Secret, c.Secret, c.Secret), log.String(), fmt.Sprint(err)} {
		if strings.Contains(told, "918273645") || strings.Contains(told, fmt.Sprintf("%x", 918273645)) {
			t.Errorf("the secret is in %s", told)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "r.json:1: config.rdma-secret is not a whole number") {
		t.Errorf("a secret in quotation marks: %v", err)
	}
}

func TestRead(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "devices.json")
	if err := os.WriteFile(path, []byte(fill.Replace(read(t, "devices.json"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := Read(path, ParseDevices); err != nil || len(d.Devices) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := Read(filepath.Join(folder, "absent.json"), ParseDevices); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Read("/dev/zero", ParseDevices); err == nil || !strings.Contains(err.Error(), "more than 32 MiB") {
		t.Errorf("a file without end: %v", err)
	}
}

// Every key is described where people look for it, in the words that the program has.
func TestKeysAreDocumented(t *testing.T) {
	document := read(t, "../docs/configuration.md")
	for name, schema := range map[string]object{
		"devices.json":            {{value: deviceSchema(&devices.Device{})}},
		"executors_database.json": {{value: (&Executor{}).schema()}},
		"resource_manager.json":   (&ResourceManager{}).schema(),
		"executor_manager.json":   (&ExecutorManager{}).schema(),
		"benchmark.json":          (&Benchmark{}).schema(),
	} {
		_, section, ok := strings.Cut(document, "\n## "+name+"\n")
		if !ok {
			t.Errorf("docs/configuration.md has no section %s", name)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, part := range schema {
			for _, k := range part.value.(object) {
				if line := "| `" + k.name + "` | " + k.value.allowed() + " | " + k.means + " |"; !strings.Contains(section, line) {
					t.Errorf("docs/configuration.md, section %s, lacks\n%s", name, line)
				}
			}
		}
	}
}
