// Package config_test checks the templates in this folder.
package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// values are the values of a template by their paths.
type values map[string]any

// templates are the files of rFaaS's tutorial, with its names and its defaults: people edit them
// with jq by these paths.
var templates = map[string]values{
	"devices.json": {
		"devices.0.name":                        "IBV_DEVICE_NAME",
		"devices.0.ip_address":                  "IP_ADDRESS",
		"devices.0.port":                        10000.,
		"devices.0.max_inline_data":             0.,
		"devices.0.default_receive_buffer_size": 32.,
	},
	"resource_manager.json": {
		"config.rdma_device":          "",
		"config.rdma_device_port":     10000.,
		"config.http_network_address": "0.0.0.0",
		"config.http_network_port":    5000.,
		"config.rdma-threads":         1.,
		"config.rdma-secret":          42.,
		"config.rdma-sleep":           true,
	},
	"executor_manager.json": {
		"config.rdma_device":              "<rdma-device>",
		"config.rdma_device_port":         10005.,
		"config.node_name":                "exec-mgr-node",
		"config.resource_manager_address": "",
		"config.resource_manager_port":    0.,
		"config.resource_manager_secret":  42.,
		"config.rdma-sleep":               true,
		"executor.use_docker":             false,
		"executor.repetitions":            100.,
		"executor.warmup_iters":           0.,
		"executor.pin_threads":            false,
	},
	"executors_database.json": {
		"executors.0.node":    "exec-mgr-node",
		"executors.0.address": "<exec-mgr-address>",
		"executors.0.port":    10005.,
		"executors.0.cores":   1.,
		"executors.0.memory":  512.,
	},
	"benchmark.json": {
		"config.rdma_device":              "",
		"config.rdma_device_port":         10006.,
		"config.resource_manager_address": "",
		"config.resource_manager_port":    0.,
		"benchmark.pin_threads":           false,
		"benchmark.repetitions":           100.,
		"benchmark.warmup_repetitions":    0.,
		"benchmark.numcores":              1.,
		"benchmark.memory":                256.,
		"benchmark.hot_timeout":           -1.,
	},
}

func TestTemplates(t *testing.T) {
	paths, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]values{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var template any
		if err := json.Unmarshal(content, &template); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got[path] = values{}
		flatten(got[path], "", template)
	}
	if diff := cmp.Diff(templates, got); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
}

// flatten puts the values in a tree into a map by their paths.
func flatten(into values, path string, tree any) {
	if path != "" {
		path += "."
	}
	switch tree := tree.(type) {
	case map[string]any:
		for key, value := range tree {
			flatten(into, path+key, value)
		}
	case []any:
		for i, value := range tree {
			flatten(into, path+fmt.Sprint(i), value)
		}
	default:
		into[path[:len(path)-1]] = tree
	}
}
