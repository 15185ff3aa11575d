// Walks over everything that the official Go SDK can do with users, roles and data: walk HOST:PORT
//
// Each step prints one line of JSON: its name and what it saw, or the sentence by which it was refused. At a pause the
// walk waits for a line on its standard input. An API key comes in KITEWARD_API_KEY. tests/compat/walkthrough.py says what
// each step must print.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

const (
	password    = "Str0ng-enough"
	newPassword = "An0ther-password"
)

var (
	ctx     = context.Background()
	address = os.Args[1]
	apiKey  = os.Getenv("KITEWARD_API_KEY")
	input   = bufio.NewReader(os.Stdin)
	output  = json.NewEncoder(os.Stdout)
)

func say(line map[string]any) {
	if err := output.Encode(line); err != nil {
		panic(err)
	}
}

// step makes one call and says what it returned, or by which sentence it was refused.
func step(name string, call func() (any, error)) {
	begun := time.Now()
	value, err := call()
	line := map[string]any{"step": name, "value": value, "seconds": time.Since(begun).Seconds()}
	if err != nil {
		delete(line, "value")
		line["refused"] = err.Error()
	}
	say(line)
}

// do makes one call that returns nothing.
func do(name string, call func() error) {
	step(name, func() (any, error) { return nil, call() })
}

func pause(name string) {
	say(map[string]any{"pause": name})
	if _, err := input.ReadString('\n'); err != nil {
		panic(err)
	}
}

func signIn(token string) (*milvusclient.Client, error) {
	return milvusclient.New(ctx, &milvusclient.ClientConfig{Address: address, APIKey: token})
}

func mustSignIn(token string) *milvusclient.Client {
	client, err := signIn(token)
	if err != nil {
		panic(err)
	}
	return client
}

// sorted lets a list that nobody promised an order be compared; a list that is missing is empty.
func sorted[T string | int64](values []T, err error) (any, error) {
	return append([]T{}, slices.Sorted(slices.Values(values))...), err
}

func vector(number int) entity.FloatVector {
	return entity.FloatVector{1, float32(number), 0, 0}
}

func rolesOf(client *milvusclient.Client, user string) (any, error) {
	described, err := client.DescribeUser(ctx, milvusclient.NewDescribeUserOption(user))
	if err != nil {
		return nil, err
	}
	return sorted(described.Roles, nil)
}

func keys(found milvusclient.ResultSet) ([]int64, error) {
	numbers := make([]int64, found.Len())
	for row := range numbers {
		column := found.IDs
		if column == nil {
			column = found.GetColumn("id")
		}
		number, err := column.GetAsInt64(row)
		if err != nil {
			return nil, err
		}
		numbers[row] = number
	}
	return numbers, nil
}

func query(client *milvusclient.Client, collection string) func() (any, error) {
	return func() (any, error) {
		option := milvusclient.NewQueryOption(collection).WithFilter("id >= 0").WithOutputFields("id")
		found, err := client.Query(ctx, option)
		if err != nil {
			return nil, err
		}
		return sorted(keys(found))
	}
}

func search(client *milvusclient.Client, collection string) func() (any, error) {
	return func() (any, error) {
		option := milvusclient.NewSearchOption(collection, 2, []entity.Vector{vector(1)}).WithANNSField("vector")
		found, err := client.Search(ctx, option)
		if err != nil {
			return nil, err
		}
		return keys(found[0])
	}
}

func grant(client *milvusclient.Client, privilege, collection string) func() error {
	return func() error {
		return client.GrantPrivilegeV2(ctx, milvusclient.NewGrantPrivilegeV2Option("editors", privilege, collection))
	}
}

func revoke(client *milvusclient.Client, privilege, collection string) func() error {
	return func() error {
		return client.RevokePrivilegeV2(ctx, milvusclient.NewRevokePrivilegeV2Option("editors", privilege, collection))
	}
}

func listUsers(client *milvusclient.Client) func() (any, error) {
	return func() (any, error) { return sorted(client.ListUsers(ctx, milvusclient.NewListUserOption())) }
}

func listRoles(client *milvusclient.Client) func() (any, error) {
	return func() (any, error) { return sorted(client.ListRoles(ctx, milvusclient.NewListRoleOption())) }
}

func users(root *milvusclient.Client) *milvusclient.Client {
	create := func(name, password string) func() error {
		return func() error { return root.CreateUser(ctx, milvusclient.NewCreateUserOption(name, password)) }
	}
	change := func() error {
		return root.UpdatePassword(ctx, milvusclient.NewUpdatePasswordOption("ann", password, newPassword))
	}
	do("create_user", create("ann", password))
	do("create_user_again", create("ann", password))
	do("create_user_weak", create("bob", "password"))
	step("list_users", listUsers(root))
	step("describe_user", func() (any, error) { return rolesOf(root, "ann") })
	do("update_password", change)
	do("update_password_wrong_old", change)
	do("old_password", func() error { _, err := signIn("ann:" + password); return err })
	ann := mustSignIn("ann:" + newPassword)
	step("new_password", func() (any, error) { return rolesOf(ann, "ann") })
	return ann
}

func roles(root, ann *milvusclient.Client) {
	create := func() error { return root.CreateRole(ctx, milvusclient.NewCreateRoleOption("editors")) }
	do("create_role", create)
	do("create_role_again", create)
	step("list_roles", listRoles(root))
	do("grant_role", func() error { return root.GrantRole(ctx, milvusclient.NewGrantRoleOption("ann", "editors")) })
	step("describe_user_with_role", func() (any, error) { return rolesOf(root, "ann") })
	step("missing_privilege", query(ann, "secrets"))
}

func grants(root, ann *milvusclient.Client) {
	do("grant_v1", func() error {
		return root.GrantPrivilege(ctx, milvusclient.NewGrantPrivilegeOption("editors", "Collection", "Query", "secrets"))
	})
	step("query_by_v1", query(ann, "secrets"))
	do("revoke_v1", func() error {
		return root.RevokePrivilege(ctx, milvusclient.NewRevokePrivilegeOption("editors", "Collection", "Query", "secrets"))
	})
	step("query_without_v1", query(ann, "secrets"))
	do("grant_v2", grant(root, "Query", "secrets"))
	step("describe_role", func() (any, error) {
		role, err := root.DescribeRole(ctx, milvusclient.NewDescribeRoleOption("editors"))
		if err != nil {
			return nil, err
		}
		listed := [][]string{}
		for _, each := range role.Privileges {
			listed = append(listed, []string{each.Object, each.ObjectName, each.DbName, each.Privilege, each.Grantor})
		}
		return listed, nil
	})
	step("query_by_v2", query(ann, "secrets"))
	do("revoke_v2", revoke(root, "Query", "secrets"))
	step("query_without_v2", query(ann, "secrets"))
}

func privilegeGroups(root, ann *milvusclient.Client) {
	members := func() (any, error) {
		groups, err := root.ListPrivilegeGroups(ctx, milvusclient.NewListPrivilegeGroupsOption())
		for _, each := range groups {
			if each.GroupName == "readers" {
				return sorted(each.Privileges, err)
			}
		}
		return []string{}, err
	}
	drop := func() error { return root.DropPrivilegeGroup(ctx, milvusclient.NewDropPrivilegeGroupOption("readers")) }
	do("create_group", func() error {
		return root.CreatePrivilegeGroup(ctx, milvusclient.NewCreatePrivilegeGroupOption("readers"))
	})
	do("add_to_group", func() error {
		return root.AddPrivilegesToGroup(ctx, milvusclient.NewAddPrivilegesToGroupOption("readers", "Query", "Search"))
	})
	step("list_groups", members)
	do("grant_group", grant(root, "readers", "secrets"))
	step("query_by_group", query(ann, "secrets"))
	do("remove_from_group", func() error {
		return root.RemovePrivilegesFromGroup(ctx, milvusclient.NewRemovePrivilegesFromGroupOption("readers", "Query"))
	})
	step("query_without_group", query(ann, "secrets"))
	step("search_by_group", search(ann, "secrets"))
	do("drop_group_in_use", drop)
	do("revoke_group", revoke(root, "readers", "secrets"))
	do("drop_group", drop)
	step("list_groups_without", members)
}

func data(root, ann *milvusclient.Client) {
	create := func() error {
		schema := entity.NewSchema().
			WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
			WithField(entity.NewField().WithName("vector").WithDataType(entity.FieldTypeFloatVector).WithDim(4))
		option := milvusclient.NewCreateCollectionOption("notes", schema).WithConsistencyLevel(entity.ClStrong)
		return ann.CreateCollection(ctx, option)
	}
	do("create_collection_without_privilege", create)
	do("grant_creating", grant(root, "CreateCollection", "*"))
	do("create_collection", create)
	for _, privilege := range []string{"CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection"} {
		do("grant_"+privilege, grant(root, privilege, "notes"))
	}
	do("create_index", func() error {
		option := milvusclient.NewCreateIndexOption("notes", "vector", index.NewAutoIndex(entity.L2))
		task, err := ann.CreateIndex(ctx, option)
		if err != nil {
			return err
		}
		return task.Await(ctx)
	})
	do("load", func() error {
		task, err := ann.LoadCollection(ctx, milvusclient.NewLoadCollectionOption("notes"))
		if err != nil {
			return err
		}
		return task.Await(ctx)
	})
	step("insert", func() (any, error) {
		result, err := ann.Insert(ctx, rows(0, 10))
		return result.InsertCount, err
	})
	step("search", search(ann, "notes"))
	step("query", query(ann, "notes"))
	step("insert_large", func() (any, error) {
		result, err := ann.Insert(ctx, rows(10, 10_000))
		return result.InsertCount, err
	})
	do("delete", func() error {
		_, err := ann.Delete(ctx, milvusclient.NewDeleteOption("notes").WithExpr("id >= 3"))
		return err
	})
	step("query_after_delete", query(ann, "notes"))
}

// data of either writing call.
type writing interface {
	milvusclient.InsertOption
	milvusclient.UpsertOption
}

func rows(first, end int) writing {
	ids, vectors := []int64{}, [][]float32{}
	for number := first; number < end; number++ {
		ids = append(ids, int64(number))
		vectors = append(vectors, vector(number))
	}
	return milvusclient.NewColumnBasedInsertOption("notes").
		WithInt64Column("id", ids).
		WithFloatVectorColumn("vector", 4, vectors)
}

func everythingElse(ann *milvusclient.Client) {
	listCollections := func() (any, error) {
		return sorted(ann.ListCollections(ctx, milvusclient.NewListCollectionOption()))
	}
	do("upsert", func() error { _, err := ann.Upsert(ctx, rows(0, 1)); return err })
	do("flush", func() error { _, err := ann.Flush(ctx, milvusclient.NewFlushOption("notes")); return err })
	do("release", func() error {
		return ann.ReleaseCollection(ctx, milvusclient.NewReleaseCollectionOption("notes"))
	})
	do("rename", func() error {
		return ann.RenameCollection(ctx, milvusclient.NewRenameCollectionOption("notes", "mine"))
	})
	do("create_partition", func() error {
		return ann.CreatePartition(ctx, milvusclient.NewCreatePartitionOption("notes", "p"))
	})
	do("create_alias", func() error { return ann.CreateAlias(ctx, milvusclient.NewCreateAliasOption("notes", "a")) })
	do("create_database", func() error {
		return ann.CreateDatabase(ctx, milvusclient.NewCreateDatabaseOption("db"))
	})
	do("create_user_by_ann", func() error {
		return ann.CreateUser(ctx, milvusclient.NewCreateUserOption("eve", password))
	})
	do("drop_user_by_ann", func() error { return ann.DropUser(ctx, milvusclient.NewDropUserOption("keyholder")) })
	step("list_users_by_ann", listUsers(ann))
	step("describe_other_by_ann", func() (any, error) { return rolesOf(ann, "root") })
	do("create_role_by_ann", func() error { return ann.CreateRole(ctx, milvusclient.NewCreateRoleOption("mine")) })
	do("grant_role_by_ann", func() error {
		return ann.GrantRole(ctx, milvusclient.NewGrantRoleOption("ann", "admin"))
	})
	do("grant_v1_by_ann", func() error {
		return ann.GrantPrivilege(ctx, milvusclient.NewGrantPrivilegeOption("editors", "Collection", "Query", "secrets"))
	})
	do("grant_v2_by_ann", grant(ann, "Query", "*"))
	do("create_group_by_ann", func() error {
		return ann.CreatePrivilegeGroup(ctx, milvusclient.NewCreatePrivilegeGroupOption("mine"))
	})
	step("query_other", query(ann, "secrets"))
	step("search_other", search(ann, "secrets"))
	do("drop_other", func() error {
		return ann.DropCollection(ctx, milvusclient.NewDropCollectionOption("secrets"))
	})
	step("has_other", func() (any, error) {
		return ann.HasCollection(ctx, milvusclient.NewHasCollectionOption("secrets"))
	})
	step("list_collections", listCollections)
	do("drop_collection", func() error {
		return ann.DropCollection(ctx, milvusclient.NewDropCollectionOption("notes"))
	})
	step("list_collections_after", listCollections)
}

func apiKeys() *milvusclient.Client {
	holder := mustSignIn(apiKey)
	step("key_describes_its_user", func() (any, error) { return rolesOf(holder, "keyholder") })
	step("key_queries", query(holder, "secrets"))
	step("key_searches_without_privilege", search(holder, "secrets"))
	step("key_lists_users", listUsers(holder))
	do("wrong_key", func() error { _, err := signIn(apiKey + "x"); return err })
	return holder
}

func leaving(root, ann *milvusclient.Client) {
	drop := func() error { return root.DropRole(ctx, milvusclient.NewDropRoleOption("editors")) }
	do("revoke_role", func() error {
		return root.RevokeRole(ctx, milvusclient.NewRevokeRoleOption("ann", "editors"))
	})
	do("after_revoke_role", func() error {
		return ann.CreateCollection(ctx, milvusclient.SimpleCreateCollectionOptions("late", 4))
	})
	do("drop_role_with_grants", drop)
	do("revoke_last_grant", revoke(root, "CreateCollection", "*"))
	do("drop_role", drop)
	step("list_roles_after", listRoles(root))
	do("drop_user", func() error { return root.DropUser(ctx, milvusclient.NewDropUserOption("ann")) })
	step("after_drop_user", func() (any, error) { return rolesOf(ann, "ann") })
	step("list_users_after", listUsers(root))
}

func failures(root, holder *milvusclient.Client) {
	wrong := func(token string) func() error {
		return func() error { _, err := signIn(token); return err }
	}
	pause("before_wrong_password")
	do("wrong_password", wrong("keyholder:Wr0ng-guess"))
	pause("after_wrong_password")
	do("unknown_user", wrong("nobody:Wr0ng-guess"))
	do("no_credential", wrong(""))
	pause("restart")
	step("root_while_server_is_away", listUsers(root))
	pause("back")
	step("root_after_restart", listUsers(root))
	step("key_after_restart", query(holder, "secrets"))
}

func main() {
	root := mustSignIn("root:Milvus")
	ann := users(root)
	roles(root, ann)
	grants(root, ann)
	privilegeGroups(root, ann)
	data(root, ann)
	everythingElse(ann)
	holder := apiKeys()
	leaving(root, ann)
	failures(root, holder)
	for _, client := range []*milvusclient.Client{root, ann, holder} {
		if err := client.Close(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
