package architecture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const gompi = "github.com/sbromberger/gompi"

// forbidden: none of these packages may be built from any of those.
type forbidden struct {
	packages []string
	from     []string
	because  string
}

var forbiddenDependencies = []forbidden{
	{
		[]string{"internal/fabric"},
		[]string{"offload/...", "executors/...", "resources/...", "cmd/...", "apps/...", "bench/...", "internal/fabric/floor"},
		"the data path stands on nothing else: apps → offload → internal/fabric",
	},
	{
		[]string{"offload"},
		[]string{"executors/...", "resources/ledger", "resources/replica/...", "resources/server/..."},
		"an MPI program links the client's side only; it talks to managers through control and resources/api",
	},
	{
		[]string{"executors/manager"},
		[]string{"resources/server/...", "resources/replica/..."},
		"a manager talks to the resource manager through resources/api, and has a ledger of its own node",
	},
	{
		[]string{"resources/server"},
		[]string{"executors/...", "offload/...", "internal/fabric", "internal/control", "internal/statspage"},
		"the resource manager knows nodes and leases; what happens on a node is its manager's business",
	},
	{
		[]string{"resources/replica"},
		[]string{"executors/...", "offload/...", "internal/fabric", "internal/control", "resources/server/..."},
		"resources/server → replica → ledger → api; a ledger is the same behind any interface",
	},
	{
		[]string{"executors/..."},
		[]string{"offload/..."},
		"an executor serves any client, so it knows none; only offload/function may import executors/executor",
	},
	{
		[]string{"executors/manager"},
		[]string{"internal/fabric", "executors/executor"},
		"the manager is pure Go and part of the static sublet; it knows executors by their protocol",
	},
	{
		[]string{"cmd/sublet-executor"},
		[]string{
			"net/http", "crypto/tls", "resources/...", "executors/manager", "offload/...", gompi,
			"github.com/hashicorp/raft/...", "go.etcd.io/bbolt", "github.com/prometheus/...",
		},
		"the executor runs users' functions: it holds no key, serves no HTTP, and starts fast",
	},
	{
		[]string{"cmd/sublet"},
		[]string{"internal/fabric", "offload/...", "apps/...", gompi},
		"sublet is one static binary for any login node, built with CGO_ENABLED=0; what needs C it becomes: sublet-invoke",
	},
	{
		[]string{"cmd/sublet-invoke"},
		[]string{"executors/...", "resources/ledger", "resources/replica/...", "resources/server/...", "apps/...", gompi},
		"it calls functions as any program does, through offload; sublet itself is what lends",
	},
	{
		[]string{"internal/metrics"},
		[]string{"executors/...", "resources/...", "offload/...", "internal/fabric", "internal/control", "internal/statspage"},
		"it is what daemons' metrics have in common; what they count is their business",
	},
	{
		[]string{"offload", "cmd/sublet-invoke", "resources/api", "resources/ledger"},
		[]string{"internal/metrics", "github.com/prometheus/...", "github.com/getkin/..."},
		"MPI programs and what they link have no metrics of their own",
	},
	{
		[]string{"cmd/sublet", "cmd/sublet-executor"},
		[]string{"github.com/getkin/..."},
		"it checks the description of the interface, in tests only",
	},
	{
		[]string{"cmd/sublet-invoke/options", "cmd/internal/output", "cmd/internal/usage", "internal/bytesize"},
		[]string{"offload/...", "executors/...", "resources/...", "internal/fabric", "internal/control", "internal/pollable", "internal/statspage", "internal/version"},
		"the command line, and amounts of memory on it, are what sublet and sublet-invoke share, and nothing behind it",
	},
	{
		[]string{"offload", "executors/...", "resources/...", "cmd/...", "apps/...", "internal/fabric", "internal/control"},
		[]string{"internal/hostile"},
		"it breaks the protocol on purpose: only tests may contain it",
	},
	{
		[]string{"internal/fabric/floor"},
		[]string{"internal/fabric", "offload/...", "executors/..."},
		"a floor that used the data path would get slower with it",
	},
	{
		[]string{"bench/..."},
		[]string{"executors/...", "resources/ledger", "resources/replica/...", "resources/server/...", "apps/...", gompi},
		"what is measured is what a program gets from offload; MPI's part is a program of its own",
	},
	{
		[]string{"resources/api"},
		[]string{
			"apps/...", "bench/...", "cmd/...", "devices/...", "executors/...", "internal/...", "launcher/...",
			"offload/...", "resources/ledger", "resources/replica/...", "resources/server/...", "slurm/...",
		},
		"everything that talks to the resource manager imports api, so it imports none of ours",
	},
	{
		[]string{"devices", "slurm"},
		[]string{
			"apps/...", "bench/...", "cmd/...", "config", "executors/...", "internal/...", "launcher/...",
			"offload/...", "resources/...",
		},
		"they know the machine and Slurm, and nothing of Sublet: everything may import them",
	},
	{
		[]string{"launcher"},
		[]string{"executors/...", "offload/...", "internal/fabric", "internal/control", "resources/ledger", "resources/replica/...", "resources/server/...", "cmd/...", "config"},
		"it starts executor managers as programs, and asks the resource manager who has registered, through resources/api",
	},
	{
		[]string{"launcher/harvest"},
		[]string{"executors/...", "offload/...", "internal/fabric", "internal/control", "resources/ledger", "resources/replica/...", "resources/server/..."},
		"it talks to Slurm and, through resources/api, to the resource manager; what runs on a node is in a job's script",
	},
	{
		[]string{"config"},
		[]string{"apps/...", "bench/...", "cmd/...", "executors/...", "internal/...", "launcher/...", "offload/...", "resources/...", "slurm/..."},
		"it reads files for daemons and commands; what they do with them is their business",
	},
	{
		[]string{"devices"},
		[]string{"slurm/..."},
		"a machine is the same with and without Slurm",
	},
	{
		[]string{"resources/ledger"},
		[]string{"executors/...", "offload/...", "internal/fabric", "internal/control", "resources/replica/...", "resources/server/..."},
		"resources/server → replica → ledger → api",
	},
}

// only: nothing but these packages may import that one, in tests neither.
type only struct {
	imported string
	by       []string
	because  string
}

var onlyImporters = []only{
	{gompi, []string{"apps/..."}, "the client library needs no MPI, and MPI's flags must be needed for apps alone"},
	{"C", []string{"internal/fabric", "internal/fabric/floor", "apps/internal/..."}, "Go's build cache does not see a header in another package's folder, so the data path's C is in one package; the floors share no header with it"},
	{"gonum.org/v1/plot/...", []string{"bench/figure"}, "figures are the benchmarks' business, and the dependency is large"},
	{"gonum.org/v1/gonum/...", []string{"apps/...", "bench/..."}, "the library computes nothing"},
	{"github.com/hashicorp/...", []string{"resources/replica"}, "what a ledger stands on is nobody else's business; embedded helpers and executors have none of it"},
	{"go.etcd.io/bbolt/...", []string{"resources/replica"}, "as above"},
	{"github.com/prometheus/...", []string{"internal/metrics", "resources/server", "executors/manager", "launcher/harvest", "internal/endurance"}, "the daemons have metrics (and endurance, which only tests import, reads /proc by it); programs that link the client library have not"},
	{"github.com/getkin/...", []string{"resources/server"}, "the description of the interface is checked in tests; what is served is a file"},
	{"github.com/schollz/progressbar/v3", []string{"apps/...", "cmd/...", "bench/..."}, "a library draws nothing on a terminal"},
}

func TestDependencies(t *testing.T) {
	packages := listPackages(t)
	for _, violation := range violations(packages, forbiddenDependencies, onlyImporters) {
		t.Error(violation)
	}
}

// violations checks packages by the rules. What a rule names must exist.
func violations(packages []pkg, dependencies []forbidden, importers []only) []string {
	var found []string
	exists := func(pattern string) bool {
		return slices.ContainsFunc(packages, func(p pkg) bool { return matches(pattern, p.ImportPath) })
	}
	subject := func(patterns []string, because string) {
		for _, pattern := range patterns {
			if !exists(pattern) {
				found = append(found, fmt.Sprintf("a rule is about %s, which does not exist (%s)", pattern, because))
			}
		}
	}
	for _, rule := range dependencies {
		subject(rule.packages, rule.because)
		for _, p := range packages {
			if !matchesAny(rule.packages, p.ImportPath) {
				continue
			}
			for _, dependency := range p.Deps {
				if strings.HasPrefix(dependency, "internal/") {
					continue // the standard library's; ours begin with the module
				}
				if matchesAny(rule.from, dependency) {
					found = append(found, fmt.Sprintf("%s depends on %s: %s", short(p.ImportPath), short(dependency), rule.because))
				}
			}
		}
	}
	for _, rule := range importers {
		subject(rule.by, rule.because)
		for _, p := range packages {
			imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			if !matchesAny(rule.by, p.ImportPath) && slices.ContainsFunc(imports, func(path string) bool { return matches(rule.imported, path) }) {
				found = append(found, fmt.Sprintf("%s imports %s, which only %s may: %s",
					short(p.ImportPath), rule.imported, strings.Join(rule.by, " and "), rule.because))
			}
		}
	}
	return found
}

func TestViolationsAreFound(t *testing.T) {
	packages := []pkg{
		{ImportPath: module + "/offload", Deps: []string{"fmt", module + "/executors/manager"}},
		{ImportPath: module + "/offload/function", Deps: []string{module + "/executors/executor"}},
		{ImportPath: module + "/executors/manager", XTestImports: []string{gompi}},
		{ImportPath: module + "/apps/jacobi", Imports: []string{gompi}},
		{ImportPath: module + "/appsish", Imports: []string{"C"}},
	}
	got := violations(packages,
		[]forbidden{{[]string{"offload"}, []string{"executors/..."}, "reason 1"}, {[]string{"gone"}, []string{"fmt"}, "reason 2"}},
		[]only{{gompi, []string{"apps/..."}, "reason 3"}, {"C", []string{"apps/..."}, "reason 4"}})
	want := []string{
		"offload depends on executors/manager: reason 1",
		"a rule is about gone, which does not exist (reason 2)",
		"executors/manager imports " + gompi + ", which only apps/... may: reason 3",
		"appsish imports C, which only apps/... may: reason 4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}
