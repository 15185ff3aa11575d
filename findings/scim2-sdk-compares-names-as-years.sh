#!/usr/bin/env bash
# Package:   com.unboundid.product.scim2:scim2-sdk-common 4.0.0 (Maven Central), Ping Identity's SCIM SDK; no network. Needs Java 17
#            and Maven.
# Behaviour: two strings that can both be read as a date or a part of one in XML Schema are compared as times, and a run of four or more
#            digits is a year. So `eq` takes "2024", "02024", "2024-01" and "2024-01-01" for the same, and "1000000001" and
#            "5294967297", whose difference is 2^32; a large number is less than a small one. A filter finds, and a PATCH removes,
#            others than it names, without an error.
# Guess:     strings are compared as strings (RFC 7644, 3.4.2.2): what is equal has the same characters, and digits have the
#            order of characters.
# Seen:      of six names eq "2024": [2024, 02024, 2024-01, 2024-01-01]; eq "1000000001": [1000000001, 5294967297]; lt "10000": all
#            six, of which one, 02024, has the lesser characters; of the members 1000000001, 5294967297 and 7, after members[value
#            eq "5294967297"] is removed: [7]. 123 and 0123 are told apart, as 123 is no year
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>try</groupId>
  <artifactId>try</artifactId>
  <version>0</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>com.unboundid.product.scim2</groupId>
      <artifactId>scim2-sdk-common</artifactId>
      <version>4.0.0</version>
    </dependency>
  </dependencies>
</project>
XML
mvn --quiet --batch-mode -Dmaven.repo.local="$work/repository" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory=lib >mvn.log 2>&1 \
    || { cat mvn.log >&2; exit 1; }
cat >Try.java <<'JAVA'
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.unboundid.scim2.common.GenericScimResource;
import com.unboundid.scim2.common.filters.Filter;
import com.unboundid.scim2.common.messages.PatchOperation;
import com.unboundid.scim2.common.messages.PatchRequest;
import com.unboundid.scim2.common.utils.FilterEvaluator;
import com.unboundid.scim2.common.utils.JsonUtils;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

public class Try {
    static List<String> found(String condition, String... names) throws Exception {
        List<String> found = new ArrayList<>();
        for (String name : names) {
            ObjectNode group = JsonUtils.getJsonNodeFactory().objectNode().put("displayName", name);
            if (FilterEvaluator.evaluate(Filter.fromString("displayName " + condition), group)) {
                found.add(name);
            }
        }
        return found;
    }

    static List<String> left(String removed, String... members) throws Exception {
        ObjectNode group = JsonUtils.getJsonNodeFactory().objectNode();
        for (String member : members) {
            group.withArray("members").addObject().put("value", member);
        }
        GenericScimResource resource = new GenericScimResource(group);
        new PatchRequest(PatchOperation.remove("members[value eq \"" + removed + "\"]")).apply(resource);
        List<String> left = new ArrayList<>();
        for (JsonNode member : resource.getObjectNode().path("members")) {
            left.add(member.path("value").asText());
        }
        return left;
    }

    public static void main(String[] arguments) throws Exception {
        String[] names = {"2024", "02024", "2024-01", "2024-01-01", "1000000001", "5294967297"};
        List<List<String>> seen = List.of(
            found("eq \"2024\"", names), found("eq \"1000000001\"", names), found("lt \"10000\"", names),
            Stream.of(names).filter(name -> name.compareTo("10000") < 0).toList(), left("5294967297", "1000000001", "5294967297", "7"),
            found("eq \"123\"", "123", "0123"), left("123", "123", "0123"));
        seen.forEach(System.out::println);
        boolean same = seen.equals(List.of(
            List.of("2024", "02024", "2024-01", "2024-01-01"), List.of("1000000001", "5294967297"), List.of(names),
            List.of("02024"), List.of("7"), List.of("123"), List.of("0123")));
        System.exit(same ? 0 : 1);
    }
}
JAVA
java -cp 'lib/*' Try.java
