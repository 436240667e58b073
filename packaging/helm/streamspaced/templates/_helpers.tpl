{{- define "streamspaced.instance" -}}
{{ .Values.config.cluster.instance }}
{{- end }}

{{- define "streamspaced.selector" -}}
app.kubernetes.io/name: streamspaced
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "streamspaced.labels" -}}
{{ include "streamspaced.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "streamspaced.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* A table of TOML: what is no table first, then the tables. JSON's texts, numbers, truths and
lists are TOML's; toToml would write whole numbers as floats. */ -}}
{{- define "streamspaced.toml" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ toRawJson $value }}
{{- end -}}
{{- end -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value }}
{{- $below := ternary $key (printf "%s.%s" $path $key) (eq $path "") }}

[{{ $below }}]
{{- include "streamspaced.toml" (dict "path" $below "table" $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "streamspaced.databaseUrl" -}}
{{- $database := .root.Values.database -}}
{{- $ca := ternary "&sslrootcert=/etc/streamspace/database-ca/ca.crt" "" (or $database.ca.existingSecret $database.ca.existingConfigMap | empty | not) -}}
postgres://streamspace_{{ .login }}@{{ $database.host }}:{{ int $database.port }}/{{ $database.name }}?sslmode={{ $database.sslMode }}{{ $ca }}
{{- end }}

{{- /* What the program reads: the values' config, and what the chart fills in. */ -}}
{{- define "streamspaced.config" -}}
{{- $values := .Values -}}
{{- $config := deepCopy $values.config -}}
{{- $service := printf "streamspaced.%s.svc" .Release.Namespace -}}
{{- $_ := set $config "region" $values.region -}}
{{- $_ := set $config "listen" (dict "grpc" "0.0.0.0:7443" "http" "0.0.0.0:7480") -}}
{{- $database := dict "passwords" "/etc/streamspace/database" "max_connections" $values.database.maxConnections -}}
{{- range $login := list "owner" "operator" "tenant" "audit" "maintainer" -}}
{{- $_ := set $database $login (include "streamspaced.databaseUrl" (dict "root" $ "login" $login)) -}}
{{- end -}}
{{- $_ := set $config "database" $database -}}
{{- $_ := set $config.access "directory" "/etc/streamspace/access" -}}
{{- $_ := set $config.access "names" (concat $config.access.names (list "localhost" "127.0.0.1" $service) | uniq) -}}
{{- if $values.webhook.enabled -}}
{{- $sessions := $config.sessions | default dict -}}
{{- $_ := set $sessions "webhook" (dict "listen" (printf "0.0.0.0:%d" (int $values.webhook.port)) "service" (printf "%s/streamspaced-webhook:%d" .Release.Namespace (int $values.webhook.port))) -}}
{{- $_ := set $config "sessions" $sessions -}}
{{- end -}}
{{- if $values.inbound.enabled -}}
{{- $notify := $config.notify | default dict -}}
{{- $_ := set $notify "inbound" (dict "listen" (printf "0.0.0.0:%d" (int $values.inbound.port)) "token_file" (printf "/etc/streamspace/inbound/%s" $values.inbound.key)) -}}
{{- $_ := set $config "notify" $notify -}}
{{- end -}}
{{- include "streamspaced.toml" (dict "path" "" "table" $config) -}}
{{- end }}

{{- /* What no schema says. Each names the value and the remedy. */ -}}
{{- define "streamspaced.check" -}}
{{- $wanted := printf "%s-system" (include "streamspaced.instance" .) -}}
{{- if ne .Release.Namespace $wanted -}}
{{- fail (printf "the release's namespace is %s, and the control namespace of config.cluster.instance %q is %s: give --namespace %s --create-namespace, or another instance" .Release.Namespace (include "streamspaced.instance" .) $wanted $wanted) -}}
{{- end -}}
{{- if and .Values.webhook.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.webhook.cidrs) -}}
{{- fail "networkPolicy.webhook.cidrs: is empty, and no API server could ask whether a session may start: name the addresses of the API servers, for example [10.0.0.0/24]; or set webhook.enabled=false" -}}
{{- end -}}
{{- end }}
