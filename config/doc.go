// Package config reads the JSON files of rFaaS's tutorial, of which this folder has templates: which
// devices a machine has, and how the resource manager, the executor managers and the benchmarks are
// set up. It reads prices and quotas of accounts as well, with the same care.
//
//	database, err := config.Read("devices.json", config.ParseDevices)
//	settings, err := config.Read("executor_manager.json", config.ParseExecutorManager)
//
// Files that rFaaS or jq has written are read as they are. Keys may be missing, and then have the
// default that the key's description names, unless nothing can stand for them.
//
// # Errors
//
// What can not be meant is refused: a key that does not exist, one that stands twice, another type, a
// number out of its range, an address that can not be one, a template's placeholder. Every error is an
// [*Error] with file, line and key, and says what is allowed; of several in one file all are told
// (errors.Join). Behind a mistake in the JSON itself nothing is read.
//
// A secret is a [Secret], which no format verb and no log prints.
package config
