#!/usr/bin/env bash
# Package:   github.com/elimity-com/scim at 2641426a1539 of 28 July 2026 (the Go module); no network.
# Behaviour: a condition on a sub-attribute of a list, `emails.value eq "…"`, is valid and holds for no resource; with `not` it holds for
#            every one, also for the one that it was to exclude. The form with brackets, `emails[value eq "…"]`, is right.
# Guess:     it holds if one of the values does, as in the examples of RFC 7644 (3.4.2.2: `not (emails co "example.com" or
#            emails.value co "example.org")`).
# Seen:      ann has ann@a.example, bob has bob@b.example, cid has none: emails.value eq "ann@a.example": []; emails[value eq …]: [ann];
#            not (emails.value eq …): [ann bob cid]; not (emails[value eq …]): [bob cid]; emails.type pr: []; emails pr: [ann bob]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw" GOTOOLCHAIN=local
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"reflect"

	"github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/schema"
)

type object = map[string]interface{}

func found(text string) string {
	var names []string
	for _, user := range []object{
		{"userName": "ann", "emails": []interface{}{object{"type": "work", "value": "ann@a.example"}}},
		{"userName": "bob", "emails": []interface{}{object{"type": "home", "value": "bob@b.example"}}},
		{"userName": "cid"},
	} {
		validator, err := filter.NewValidator(text, schema.CoreUserSchema())
		if err == nil {
			err = validator.Validate()
		}
		if err != nil {
			panic(err)
		}
		if validator.PassesFilter(user) == nil {
			names = append(names, user["userName"].(string))
		}
	}
	return fmt.Sprint(names)
}

func main() {
	var seen []string
	for _, text := range []string{
		`emails.value eq "ann@a.example"`, `emails[value eq "ann@a.example"]`,
		`not (emails.value eq "ann@a.example")`, `not (emails[value eq "ann@a.example"])`,
		`emails.type pr`, `emails pr`,
	} {
		seen = append(seen, found(text))
		fmt.Println(text, seen[len(seen)-1])
	}
	if !reflect.DeepEqual(seen, []string{"[]", "[ann]", "[ann bob cid]", "[bob cid]", "[]", "[ann bob]"}) {
		os.Exit(1)
	}
}
GO
cat >go.mod <<'MOD'
module try

go 1.24

require github.com/elimity-com/scim v0.0.0-20260728105928-2641426a1539
MOD
go build -o try . 2>build.log || { cat build.log >&2; exit 1; }
./try
