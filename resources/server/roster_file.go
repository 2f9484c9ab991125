package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"strconv"

	"github.com/sublet-hpc/sublet/config"
	"github.com/sublet-hpc/sublet/internal/atomicfile"
	"github.com/sublet-hpc/sublet/resources/api"
)

// rosterVersion is the version of nodes.json.
const rosterVersion = 1

// rosterFile is the run directory's nodes.json.
type rosterFile struct {
	Version int              `json:"version"`
	Nodes   map[string]entry `json:"nodes"`
}

// load reads what was said to an earlier resource manager of this run directory.
func (r *roster) load() error {
	text, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resource manager: the nodes that were added: %w", err)
	}
	file := rosterFile{}
	if err = json.Unmarshal(text, &file); err == nil && file.Version != rosterVersion {
		err = fmt.Errorf("it has version %d, not %d", file.Version, rosterVersion)
	}
	if err != nil {
		return fmt.Errorf("resource manager: %s is not a file of this version of Sublet (%w); remove it to begin without the nodes that were added and removed", r.path, err)
	}
	if file.Nodes != nil {
		r.said = file.Nodes
	}
	return nil
}

// say enters what is said of a node, once it is on disk. saying is held.
func (r *roster) say(name string, e entry) error {
	said := maps.Clone(r.said)
	said[name] = e
	return r.keep(said)
}

// keep has all that is said in place of what was, once it is on disk. saying is held.
func (r *roster) keep(said map[string]entry) error {
	text, err := json.MarshalIndent(rosterFile{Version: rosterVersion, Nodes: said}, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(r.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("keeping the nodes that were added: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = said
	return nil
}

// enter adds the nodes of an executors database; what was said of them before does not count.
func (r *roster) enter(database config.Executors) error {
	r.saying.Lock()
	defer r.saying.Unlock()
	said := maps.Clone(r.said)
	for _, x := range database.Executors {
		if problem := impossible(x.Address); problem != "" {
			return fmt.Errorf("resource manager: the executors database: address %q %s", x.Address, problem)
		}
		e := entry{Address: x.Address, Port: x.Port, Cores: x.Cores, Memory: x.Memory}
		name := x.Node
		if name == "" {
			name, e.Nameless = e.at(), true
		}
		said[name] = e
	}
	return r.keep(said)
}

// database is an executors_database.json.
type database struct {
	Executors []databaseEntry `json:"executors"`
}

type databaseEntry struct {
	Node    string `json:"node"`
	Address string `json:"address"`
	Port    int    `json:"port"`
	Cores   int    `json:"cores"`
	Memory  int64  `json:"memory"`
}

// database is the executors database of the nodes that are registered and may be leased.
func (r *roster) database(nodes []api.NodeStatus) ([]byte, error) {
	list := database{Executors: []databaseEntry{}}
	for _, node := range nodes {
		host, port, err := net.SplitHostPort(node.Address)
		number, portErr := strconv.Atoi(port)
		e, said := r.of(node.Name, node.Address)
		if err != nil || portErr != nil || said && e.Removed || node.Drain != nil || len(node.Cores) == 0 {
			continue
		}
		cores := len(node.Cores)
		if said {
			cores = min(cores, e.Cores)
		}
		list.Executors = append(list.Executors, databaseEntry{Node: node.Name, Address: host, Port: number, Cores: cores, Memory: node.Memory / megabyte})
	}
	text, err := json.MarshalIndent(list, "", "  ")
	return append(text, '\n'), err
}

// output keeps a file as an executors database of what is registered.
type output struct {
	path    string // empty: none
	written []byte
	behind  bool // it could not be written
}

// follow is update again and again; only changes for the worse and for the better are logged.
func (o *output) follow(r *roster, log *slog.Logger) {
	err := o.update(r)
	switch {
	case err != nil && !o.behind:
		log.Warn("the executors database is not up to date", "error", err)
	case err == nil && o.behind:
		log.Info("the executors database is up to date again", "file", o.path)
	}
	o.behind = err != nil
}

// update writes the file if anything has changed.
func (o *output) update(r *roster) error {
	if o.path == "" {
		return nil
	}
	text, err := r.database(r.book.nodes("", now()))
	if err != nil || bytes.Equal(text, o.written) {
		return err
	}
	if err := atomicfile.Write(o.path, text, 0o644); err != nil {
		return fmt.Errorf("writing the executors database: %w", err)
	}
	o.written = text
	return nil
}
