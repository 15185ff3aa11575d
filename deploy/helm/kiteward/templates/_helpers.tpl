{{- define "kiteward.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "kiteward.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "kiteward.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kiteward.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kiteward.selector" -}}
app.kubernetes.io/name: {{ include "kiteward.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "kiteward.labels" -}}
{{ include "kiteward.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kiteward.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Whether users and roles are in PostgreSQL; empty if not. */}}
{{- define "kiteward.postgresql" -}}
{{- if or .Values.store.url .Values.store.urlKey -}}yes{{- end -}}
{{- end -}}

{{/* Whether a Milvus is behind; empty if the engine is embedded. */}}
{{- define "kiteward.remote" -}}
{{- $address := dig "kiteward" "engine" "address" "embedded" .Values.config -}}
{{- if ne $address "embedded" -}}yes{{- end -}}
{{- end -}}

{{/* Ends with a sentence where values do not fit together. */}}
{{- define "kiteward.check" -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- if not (include "kiteward.postgresql" .) -}}
{{- fail "replicas is more than 1 and the store is a file: each pod would have users of its own. Set store.url to a PostgreSQL, or replicas to 1" -}}
{{- end -}}
{{- if not (include "kiteward.remote" .) -}}
{{- fail "replicas is more than 1 and the engine is embedded: each pod would have vectors of its own. Set config.kiteward.engine.address to a Milvus, or replicas to 1" -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int .Values.workers) 1) (not (include "kiteward.postgresql" .)) -}}
{{- fail "workers is more than 1 and the store is a file, which one process uses. Set store.url to a PostgreSQL, or workers to 1" -}}
{{- end -}}
{{- if and (gt (int .Values.workers) 1) (not (include "kiteward.remote" .)) -}}
{{- fail "workers is more than 1 and the engine is embedded, which one process uses. Set config.kiteward.engine.address to a Milvus, or workers to 1" -}}
{{- end -}}
{{- if and .Values.store.url .Values.store.urlKey -}}
{{- fail "store.url and store.urlKey are both set: set one of them" -}}
{{- end -}}
{{- if and .Values.store.urlKey (not .Values.store.existingSecret) -}}
{{- fail "store.urlKey names a key of a secret, and store.existingSecret names none" -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]*@" .Values.store.url -}}
{{- fail "store.url holds a password: put it into a secret and name it at store.existingSecret" -}}
{{- end -}}
{{- if not .Values.rootPassword.existingSecret -}}
{{- fail "rootPassword.existingSecret is not set: create a secret with the first password of root, and name it there (kubectl create secret generic kiteward-root --from-literal=password=…)" -}}
{{- end -}}
{{- if and .Values.engine.existingSecret (not (include "kiteward.remote" .)) -}}
{{- fail "engine.existingSecret is set and the engine is embedded: set config.kiteward.engine.address, or leave the secret out" -}}
{{- end -}}
{{- if and .Values.engine.tls.clientCertificate (not .Values.engine.tls.existingSecret) -}}
{{- fail "engine.tls.clientCertificate is true, and engine.tls.existingSecret names no secret with tls.crt and tls.key" -}}
{{- end -}}
{{- if and .Values.tls.clientCa (not .Values.tls.existingSecret) -}}
{{- fail "tls.clientCa is true, and tls.existingSecret names no secret with ca.crt" -}}
{{- end -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (add (int .Values.preStopSeconds) 75 | int) -}}
{{- fail "terminationGracePeriodSeconds is too short: a stop takes up to 75 seconds after preStopSeconds; add at least 75 to preStopSeconds" -}}
{{- end -}}
{{- end -}}

{{/* What the chart sets in the configuration: it wins over `config`, whose schema has none of these keys. */}}
{{- define "kiteward.configuration" -}}
{{- $own := dict "dataDir" "/var/lib/kiteward/data" "host" "0.0.0.0" -}}
{{- $_ := set $own "metrics" (dict "enabled" true "host" "0.0.0.0" "port" 9091) -}}
{{- if gt (int .Values.workers) 1 -}}{{- $_ := set $own "workers" (int .Values.workers) -}}{{- end -}}
{{- $engine := dict -}}
{{- if .Values.engine.existingSecret -}}
{{- $_ := set $engine "passwordFile" "/run/secrets/kiteward/engine/password" -}}
{{- end -}}
{{- if .Values.engine.tls.existingSecret -}}
{{- $files := dict "ca" "/run/secrets/kiteward/engine-tls/ca.crt" -}}
{{- if .Values.engine.tls.clientCertificate -}}
{{- $_ := set $files "certificate" "/run/secrets/kiteward/engine-tls/tls.crt" -}}
{{- $_ := set $files "key" "/run/secrets/kiteward/engine-tls/tls.key" -}}
{{- end -}}
{{- $_ := set $engine "tls" $files -}}
{{- end -}}
{{- if $engine -}}{{- $_ := set $own "engine" $engine -}}{{- end -}}
{{- if include "kiteward.postgresql" . -}}
{{- $store := dict -}}
{{- if .Values.store.url -}}{{- $_ := set $store "url" .Values.store.url -}}{{- end -}}
{{- if .Values.store.existingSecret -}}{{- $_ := set $store "passwordFile" "/run/secrets/kiteward/store/password" -}}{{- end -}}
{{- if $store -}}{{- $_ := set $own "store" $store -}}{{- end -}}
{{- $_ := set $own "replicas" (dict "lease" (int .Values.store.lease)) -}}
{{- end -}}
{{- $service := include "kiteward.fullname" . -}}
{{- $hosts := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) -}}
{{- $hosts = append $hosts (printf "%s.%s.svc.cluster.local" $service .Release.Namespace) -}}
{{- $hosts = concat $hosts (dig "kiteward" "allowedHosts" list .Values.config) | uniq -}}
{{- $_ := set $own "allowedHosts" $hosts -}}
{{- $all := dict "kiteward" $own "proxy" (dict "port" 19530) -}}
{{- if .Values.tls.existingSecret -}}
{{- $_ := set $all "common" (dict "security" (dict "tlsMode" (ternary 2 1 .Values.tls.clientCa))) -}}
{{- $files := dict "serverPemPath" "/run/secrets/kiteward/tls/tls.crt" "serverKeyPath" "/run/secrets/kiteward/tls/tls.key" -}}
{{- if .Values.tls.clientCa -}}{{- $_ := set $files "caPemPath" "/run/secrets/kiteward/tls/ca.crt" -}}{{- end -}}
{{- $_ := set $all "tls" $files -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $all | toYaml -}}
{{- end -}}
