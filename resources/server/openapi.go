package server

import (
	_ "embed"
	"net/http"
)

// description is the interface in OpenAPI 3. It is made of the routes and of package api's types with
// their comments; TestDescriptionIsOfToday makes it
//
//go:embed openapi.json
var description []byte

func writeDescription(_ http.ResponseWriter, _ *http.Request) (any, error) {
	return raw(description), nil
}

// raw is an answer that is JSON already.
type raw []byte

// MarshalJSON implements json.Marshaler.
func (r raw) MarshalJSON() ([]byte, error) { return r, nil }
