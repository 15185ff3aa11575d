{{/* Kubernetes' restricted profile. */}}
{{- define "kiteward.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "kiteward.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The secrets that are mounted: the volume, and which of its keys become which files. */}}
{{- define "kiteward.secrets" -}}
{{- $found := list -}}
{{- with .Values.rootPassword -}}
{{- $found = append $found (dict "volume" "root" "secret" .existingSecret "items" (list (dict "key" .key "path" "password"))) -}}
{{- end -}}
{{- with .Values.engine -}}
{{- if .existingSecret -}}
{{- $found = append $found (dict "volume" "engine" "secret" .existingSecret "items" (list (dict "key" .key "path" "password"))) -}}
{{- end -}}
{{- if .tls.existingSecret -}}
{{- $keys := ternary (list "ca.crt" "tls.crt" "tls.key") (list "ca.crt") .tls.clientCertificate -}}
{{- $items := list -}}{{- range $keys -}}{{- $items = append $items (dict "key" . "path" .) -}}{{- end -}}
{{- $found = append $found (dict "volume" "engine-tls" "secret" .tls.existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- with .Values.store -}}
{{- if and .existingSecret (or .url .urlKey) -}}
{{- $found = append $found (dict "volume" "store" "secret" .existingSecret "items" (list (dict "key" .key "path" "password"))) -}}
{{- end -}}
{{- end -}}
{{- with .Values.tls -}}
{{- if .existingSecret -}}
{{- $keys := ternary (list "tls.crt" "tls.key" "ca.crt") (list "tls.crt" "tls.key") .clientCa -}}
{{- $items := list -}}{{- range $keys -}}{{- $items = append $items (dict "key" . "path" .) -}}{{- end -}}
{{- $found = append $found (dict "volume" "tls" "secret" .existingSecret "items" $items) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
