{{- define "tcpvitals.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tcpvitals.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The namespace of everything that has one and is not given another. */}}
{{- define "tcpvitals.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* One mapping of several, none or empty ones too; of a key that several have, the last counts. Whatever joins mappings goes
through this: a key twice is an error to most readers of YAML, and Helm does not say so. */}}
{{- define "tcpvitals.merged" -}}
{{- $all := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- $_ := set $all $key $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Ends with an error where a list of the values has a name twice, or one of the chart's own: the API server knows entries by it. Takes
what the list is called, the key of a name, the chart's own names, and the list. */}}
{{- define "tcpvitals.distinct" -}}
{{- $what := index . 0 -}}
{{- $key := index . 1 -}}
{{- $own := index . 2 -}}
{{- $seen := list -}}
{{- range index . 3 -}}
{{- $name := get . $key | toString -}}
{{- if has $name $own -}}
{{- fail (printf "%s has the %s %s, which is one of the chart's own (%s); choose another" $what $key $name (join ", " $own)) -}}
{{- else if has $name $seen -}}
{{- fail (printf "%s has the %s %s twice; keep one of the two" $what $key $name) -}}
{{- end -}}
{{- $seen = append $seen $name -}}
{{- end -}}
{{- end -}}

{{/* Where the names of workloads come from; "none" where workloads are switched off, whatever the source is. */}}
{{- define "tcpvitals.source" -}}
{{- $workloads := default dict (default dict .Values.config).workloads -}}
{{- $source := default "none" $workloads.source -}}
{{- if eq (toString $workloads.enabled) "false" -}}
{{- $source = "none" -}}
{{- else if eq $source "pod-logs" -}}
{{- fail "config.workloads.source is pod-logs, but the chart mounts no folder of the node; choose kubernetes, cgroup or none" -}}
{{- end -}}
{{- $source -}}
{{- end -}}

{{/* "true" where the exporter asks the API server. */}}
{{- define "tcpvitals.asksApi" -}}
{{- if has (include "tcpvitals.source" .) (list "auto" "kubernetes") -}}true{{- end -}}
{{- end -}}

{{/* The configuration file. With the labels of workloads, unless there are no workloads or the values list labels. */}}
{{- define "tcpvitals.config" -}}
{{- $config := deepCopy (default dict .Values.config) -}}
{{- if ne (include "tcpvitals.source" .) "none" -}}
{{- $labels := default dict $config.labels -}}
{{- if not (kindIs "slice" $labels.tcp) -}}
{{- $_ := set $labels "tcp" (list "subnet" "connection_type" "app_protocol" "role" "workload" "workload_kind" "workload_namespace") -}}
{{- end -}}
{{- if not (kindIs "slice" $labels.drops) -}}
{{- $own := list "location" "reason" "class" "protocol" "direction" "subnet" "connection_type" -}}
{{- $_ := set $labels "drops" (concat $own (list "workload" "workload_namespace")) -}}
{{- end -}}
{{- $_ := set $config "labels" $labels -}}
{{- end -}}
{{- if .Values.zones.enabled -}}
{{- $_ := set $config "subnets_files" (append (default list $config.subnets_files) "/etc/tcpvitals/zones/*.csv") -}}
{{- end -}}
{{- with $config -}}
{{- toYaml . -}}
{{- else -}}
# The built-in configuration.
{{- end -}}
{{- end -}}

{{/* A DaemonSet's selector cannot be changed: nothing of this may depend on a version or a value that an upgrade changes. */}}
{{- define "tcpvitals.selector" -}}
{{- toYaml (dict "app.kubernetes.io/name" (include "tcpvitals.name" .) "app.kubernetes.io/instance" .Release.Name) -}}
{{- end -}}

{{/* Labels of an object; takes the top, what it is selected by, and mappings of further labels. */}}
{{- define "tcpvitals.labelled" -}}
{{- $top := index . 0 -}}
{{- $own := dict "app.kubernetes.io/version" $top.Chart.AppVersion "app.kubernetes.io/managed-by" $top.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $top.Chart.Name $top.Chart.Version | replace "+" "_") -}}
{{- include "tcpvitals.merged" (concat (list $own $top.Values.commonLabels) (slice . 2) (list (index . 1 | fromYaml))) -}}
{{- end -}}

{{/* Labels of what belongs to the DaemonSet; takes the top, and mappings of further labels. */}}
{{- define "tcpvitals.labels" -}}
{{- $top := first . -}}
{{- include "tcpvitals.labelled" (concat (list $top (include "tcpvitals.selector" $top)) (rest .)) -}}
{{- end -}}

{{/* The Deployment that makes subnets of nodes, and its ConfigMap. */}}
{{- define "tcpvitals.zones" -}}
{{- include "tcpvitals.fullname" . }}-zones
{{- end -}}

{{/* The DaemonSet, its Service and its NetworkPolicy must not select the pods of the Deployment. */}}
{{- define "tcpvitals.zonesSelector" -}}
{{- $name := printf "%s-zones" (include "tcpvitals.name" . | trunc 57 | trimSuffix "-") -}}
{{- toYaml (dict "app.kubernetes.io/name" $name "app.kubernetes.io/instance" .Release.Name) -}}
{{- end -}}

{{- define "tcpvitals.zonesLabels" -}}
{{- include "tcpvitals.labelled" (list . (include "tcpvitals.zonesSelector" .)) -}}
{{- end -}}

{{- define "tcpvitals.serviceAccount" -}}
{{- default (ternary (include "tcpvitals.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "tcpvitals.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with web.yaml; empty without one. */}}
{{- define "tcpvitals.webSecret" -}}
{{- with .Values.webConfig -}}
{{- if and .config .existingSecret -}}
{{- fail "webConfig.config and webConfig.existingSecret are both set; choose one" -}}
{{- else if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .config -}}
{{- include "tcpvitals.fullname" $ }}-web
{{- else if or .tls .tlsSecret -}}
{{- fail "webConfig.tls and webConfig.tlsSecret need webConfig.config or webConfig.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" where the server speaks TLS. */}}
{{- define "tcpvitals.tls" -}}
{{- if or .Values.webConfig.tls (default dict .Values.webConfig.config).tls_server_config }}true{{ end -}}
{{- end -}}

{{/* "true" where the server asks for what the kubelet does not have, or answers only so many requests. What a Secret of somebody
else's asks for is not seen from here, so that counts as such unless the values say otherwise. */}}
{{- define "tcpvitals.guarded" -}}
{{- $config := default dict .Values.webConfig.config -}}
{{- $tls := default dict $config.tls_server_config -}}
{{- $type := default "NoClientCert" $tls.client_auth_type -}}
{{- $asked := has $type (list "RequireAnyClientCert" "RequireAndVerifyClientCert") -}}
{{- if .Values.webConfig.existingSecret -}}
{{- if .Values.webConfig.auth }}true{{ end -}}
{{- else if or $config.basic_auth_users $config.rate_limit $asked -}}
true
{{- end -}}
{{- end -}}

{{/* What the exporter reads at its start and follows later by a restart alone: settings of its configuration, protections of the web
configuration that were given up, and headers, which are in a variable. */}}
{{- define "tcpvitals.atStart" -}}
{{- $found := dict -}}
{{- range $path := list "tcp.detail" "tcp.memory" "devices.enabled" "drops.enabled" "local_loss.enabled" "listeners.enabled" "limits.memory" "limits.workloads" "workloads" -}}
{{- $value := default dict $.Values.config -}}
{{- range splitList "." $path -}}
{{- if kindIs "map" $value -}}{{- $value = get $value . -}}{{- else -}}{{- $value = "" -}}{{- end -}}
{{- end -}}
{{- $_ := set $found $path $value -}}
{{- end -}}
{{- $web := default dict .Values.webConfig.config -}}
{{- $tls := default dict $web.tls_server_config -}}
{{- $_ := set $found "web" (list (empty $tls) $tls.client_auth_type (empty $tls.client_allowed_sans) (empty $web.basic_auth_users)) -}}
{{- $_ := set $found "headers" .Values.otlp.headers -}}
{{- if .Values.restartOnChange -}}
{{- $_ := set $found "all" (list (include "tcpvitals.config" .) $web) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Attributes of the resource: the pod's host name is not the node's. Those of the values count more. */}}
{{- define "tcpvitals.resourceAttributes" -}}
{{- $own := dict "host.name" "$(NODE_NAME)" "k8s.node.name" "$(NODE_NAME)" "k8s.pod.name" "$(POD_NAME)" "k8s.namespace.name" "$(POD_NAMESPACE)" -}}
{{- $pairs := list -}}
{{- range $key, $value := .Values.otlp.resourceAttributes -}}
{{- /* As a query is written, but for the space. */ -}}
{{- $_ := set $own $key ($value | toString | urlquery | replace "+" "%20") -}}
{{- end -}}
{{- range $key, $value := $own -}}
{{- $pairs = append $pairs (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* What a probe does; takes the path. */}}
{{- define "tcpvitals.probe" -}}
{{- $top := index . 0 -}}
{{- if include "tcpvitals.guarded" $top -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if include "tcpvitals.tls" $top }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the headers of OTLP; empty without one. */}}
{{- define "tcpvitals.otlpSecret" -}}
{{- with .Values.otlp -}}
{{- if and .headers .existingSecret -}}
{{- fail "otlp.headers and otlp.existingSecret are both set; choose one" -}}
{{- else if .existingSecret -}}
{{- .existingSecret -}}
{{- else if .headers -}}
{{- include "tcpvitals.fullname" $ }}-otlp
{{- end -}}
{{- end -}}
{{- end -}}

{{/* An endpoint of either monitor. */}}
{{- define "tcpvitals.endpoint" -}}
{{- $endpoint := dict "port" "http" "path" "/metrics" -}}
{{- if include "tcpvitals.tls" . -}}
{{- $_ := set $endpoint "scheme" "https" -}}
{{- end -}}
{{- $own := deepCopy (default dict .Values.monitor.endpoint) -}}
{{- if .Values.monitor.nodeLabel -}}
{{- $name := list "__meta_kubernetes_pod_node_name" -}}
{{- $labels := list (dict "sourceLabels" $name "targetLabel" "node") (dict "sourceLabels" $name "targetLabel" "instance") -}}
{{- $_ := set $own "relabelings" (concat $labels (default list $own.relabelings)) -}}
{{- end -}}
{{- if .Values.monitor.zoneLabel -}}
{{- $source := printf "__meta_kubernetes_node_label_%s" (regexReplaceAll "[^a-zA-Z0-9_]" .Values.zones.label "_") -}}
{{- $zone := dict "sourceLabels" (list $source) "targetLabel" "zone" -}}
{{- $_ := set $own "relabelings" (prepend (default list $own.relabelings) $zone) -}}
{{- end -}}
{{- include "tcpvitals.merged" (list $endpoint $own) -}}
{{- end -}}
