package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sublet-hpc/sublet/internal/metrics"
	"github.com/sublet-hpc/sublet/resources/api"
)

// object is a JSON object.
type object = map[string]any

// describer makes OpenAPI's words of Go's: schemas of types by reflection, and what they mean by the
// comments in package api.
type describer struct {
	comments map[string]string   // by type, or type.field
	values   map[string][]string // of types that are words
	schemas  object
}

func newDescriber(t *testing.T) *describer {
	t.Helper()
	d := &describer{comments: map[string]string{}, values: map[string][]string{}, schemas: object{}}
	paths, err := filepath.Glob("../api/*.go")
	check(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		check(t, err)
		for _, decl := range file.Decls {
			if general, ok := decl.(*ast.GenDecl); ok {
				d.readDeclaration(t, general)
			}
		}
	}
	for code := range statuses {
		d.values["Code"] = append(d.values["Code"], string(code))
	}
	slices.Sort(d.values["Code"])
	return d
}

func (d *describer) readDeclaration(t *testing.T, general *ast.GenDecl) {
	for _, spec := range general.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			d.comments[spec.Name.Name] = oneLine(general.Doc)
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					d.comments[spec.Name.Name+"."+name.Name] = strings.TrimSpace(oneLine(field.Doc) + " " + oneLine(field.Comment))
				}
			}
		case *ast.ValueSpec:
			kind, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) != 1 {
				continue
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				value, err := strconv.Unquote(literal.Value)
				check(t, err)
				d.values[kind.Name] = append(d.values[kind.Name], value)
			}
		}
	}
}

func oneLine(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}

// schema describes a type; structures and words are described once and referred to.
func (d *describer) schema(of reflect.Type) object {
	switch of {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return object{"type": "integer", "format": "int64", "description": "in nanoseconds"}
	case reflect.TypeFor[api.Uint128]():
		return object{"type": "string", "pattern": "^[0-9]+$"}
	case reflect.TypeFor[[]byte]():
		return object{"type": "string", "format": "byte"}
	}
	switch of.Kind() {
	case reflect.Pointer:
		return d.schema(of.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(of.Elem())}
	case reflect.Map:
		described := object{"type": "object", "additionalProperties": d.schema(of.Elem())}
		if values := d.values[of.Key().Name()]; values != nil {
			described["description"] = "by " + strings.Join(values, ", ")
		}
		return described
	case reflect.String:
		values := d.values[of.Name()]
		if values == nil {
			return object{"type": "string"}
		}
		return d.refer(of, func() object { return object{"type": "string", "enum": values} })
	case reflect.Struct:
		return d.refer(of, func() object { return d.structure(of) })
	}
	panic("no schema for " + of.String())
}

// refer describes a named type if that has not been done yet.
func (d *describer) refer(of reflect.Type, describe func() object) object {
	if d.schemas[of.Name()] == nil {
		d.schemas[of.Name()] = object{} // it may contain itself
		described := describe()
		if comment := d.comments[of.Name()]; comment != "" {
			described["description"] = comment
		}
		d.schemas[of.Name()] = described
	}
	return object{"$ref": "#/components/schemas/" + of.Name()}
}

func (d *describer) structure(of reflect.Type) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(of) {
		if field.Anonymous {
			continue // its fields come as well
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			panic(of.String() + "." + field.Name + " has no name in JSON")
		}
		property := d.schema(field.Type)
		if comment := d.comments[owner(of, field.Index)+"."+field.Name]; comment != "" {
			if unit, has := property["description"]; has {
				comment += " (" + unit.(string) + ")"
			}
			if property["$ref"] != nil { // which may have nothing beside it
				property = object{"allOf": []object{property}}
			}
			property["description"] = comment
		}
		properties[name] = property
		if options == "" {
			required = append(required, name)
		}
	}
	described := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		slices.Sort(required)
		described["required"] = required
	}
	return described
}

// owner is the type that declares a field, which may be embedded.
func owner(of reflect.Type, index []int) string {
	for _, i := range index[:len(index)-1] {
		of = of.Field(i).Type
	}
	return of.Name()
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// describe makes the description of the interface.
func (d *describer) describe(routes []route) object {
	paths := map[string]object{}
	for _, route := range routes {
		if paths[route.path] == nil {
			paths[route.path] = object{}
		}
		paths[route.path][strings.ToLower(route.method)] = d.operation(route)
	}
	paths[metrics.Path] = object{"get": object{
		"operationId": "metrics", "summary": "metrics for Prometheus", "description": "needs a token of any role",
		"responses": object{
			"200": object{"description": "it worked", "content": object{"text/plain": object{"schema": object{"type": "string"}}}},
			"401": d.refused("the request has no token, or another's", api.ErrUnauthorized),
			"429": d.refused("too many such requests came from that address", api.ErrTooMany),
		},
	}}
	return object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Sublet's resource manager", "version": "1",
			"description": "Leases of the cores of many nodes. Address, the pin of the key with which it answers there, and a token for each role are in access.json of the run directory. New fields may be added to what is answered; what is there stays.",
		},
		"servers":  []object{{"url": "/"}},
		"security": []object{{"token": []string{}}},
		"paths":    paths,
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "a token of access.json of the run directory, of the role that an operation needs"}},
			"schemas":         d.schemas,
		},
	}
}

func (d *describer) operation(route route) object {
	operation := object{"operationId": route.operation, "summary": route.summary}
	var parameters []object
	for _, match := range parameter.FindAllStringSubmatch(route.path, -1) {
		parameters = append(parameters, object{"name": match[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, query := range route.query {
		parameters = append(parameters, object{"name": query[0], "in": "query", "description": query[1], "schema": object{"type": "string"}})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if route.request != nil {
		operation["requestBody"] = object{"required": true, "content": d.content(route.request)}
	}
	responses := object{}
	refusals := map[int][]*api.Error{}
	for _, refusal := range slices.Concat(route.refusals, []*api.Error{api.ErrInternal}) {
		refusals[statuses[refusal.Code]] = append(refusals[statuses[refusal.Code]], refusal)
	}
	if route.request != nil {
		refusals[http.StatusBadRequest] = append(refusals[http.StatusBadRequest], api.ErrInvalid)
	}
	if route.open {
		operation["security"] = []object{}
	} else {
		operation["description"] = "needs the token of " + takers(route.role)
		operation["x-role"] = string(route.role)
		for _, refusal := range []*api.Error{api.ErrUnauthorized, api.ErrForbidden, api.ErrTooMany} {
			refusals[statuses[refusal.Code]] = append(refusals[statuses[refusal.Code]], refusal)
		}
	}
	for status, kinds := range refusals {
		responses[strconv.Itoa(status)] = d.refused("it was refused", kinds...)
	}
	switch {
	case route.reply != nil:
		responses["200"] = object{"description": "it worked", "content": d.content(route.reply)}
	case route.open:
		responses["200"] = object{"description": "it worked", "content": object{"application/json": object{"schema": object{"type": "object"}}}}
	default:
		responses["204"] = object{"description": "it worked"}
	}
	operation["responses"] = responses
	return operation
}

func (d *describer) content(of any) object {
	return object{"application/json": object{"schema": d.schema(reflect.TypeOf(of))}}
}

func (d *describer) refused(why string, kinds ...*api.Error) object {
	var codes []string
	for _, kind := range kinds {
		codes = append(codes, string(kind.Code))
	}
	return object{"description": fmt.Sprintf("%s; code: %s", why, strings.Join(codes, " or ")), "content": d.content(api.Error{})}
}

// The description that is served is that of the routes and types as they are. To make it anew:
// SUBLET_UPDATE=1 go test ./resources/server -run TestDescriptionIsOfToday
func TestDescriptionIsOfToday(t *testing.T) {
	s, _ := running(t, t.TempDir())
	made, err := json.MarshalIndent(newDescriber(t).describe(s.routes()), "", "  ")
	check(t, err)
	made = append(made, '\n')
	if os.Getenv("SUBLET_UPDATE") != "" {
		check(t, os.WriteFile("openapi.json", made, 0o644))
		return
	}
	if !bytes.Equal(made, description) {
		t.Error("resources/server/openapi.json is not that of routes and types any more; make it anew: SUBLET_UPDATE=1 go test ./resources/server -run TestDescriptionIsOfToday")
	}
}

// Each route has a name of its own, and each type and field a comment to be described by.
func TestEverythingIsDescribed(t *testing.T) {
	d := newDescriber(t)
	s, _ := running(t, t.TempDir())
	names := map[string]bool{}
	for _, route := range s.routes() {
		if route.operation == "" || route.summary == "" || names[route.operation] {
			t.Errorf("%s %s has no summary, or no name of its own: %q", route.method, route.path, route.operation)
		}
		names[route.operation] = true
		d.operation(route)
	}
	for _, name := range slices.Sorted(maps.Keys(d.schemas)) {
		if d.comments[name] == "" {
			t.Errorf("type %s of package api has no comment", name)
		}
	}
}
