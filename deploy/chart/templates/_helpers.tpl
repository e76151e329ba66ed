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

{{/* Where the names of workloads come from. */}}
{{- define "tcpvitals.source" -}}
{{- $config := default dict .Values.config -}}
{{- $source := default "none" ($config.workloads | default dict).source -}}
{{- if eq $source "pod-logs" -}}
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
app.kubernetes.io/name: {{ include "tcpvitals.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tcpvitals.labels" -}}
{{ include "tcpvitals.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The Deployment that makes subnets of nodes, and its ConfigMap. */}}
{{- define "tcpvitals.zones" -}}
{{- include "tcpvitals.fullname" . }}-zones
{{- end -}}

{{/* The DaemonSet, its Service and its NetworkPolicy must not select the pods of the Deployment. */}}
{{- define "tcpvitals.zonesSelector" -}}
app.kubernetes.io/name: {{ include "tcpvitals.name" . | trunc 57 | trimSuffix "-" }}-zones
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tcpvitals.zonesLabels" -}}
{{ include "tcpvitals.zonesSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
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
{{- else if or .tls .auth .tlsSecret -}}
{{- fail "webConfig.tls, webConfig.auth and webConfig.tlsSecret need webConfig.config or webConfig.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" where the server speaks TLS. */}}
{{- define "tcpvitals.tls" -}}
{{- if or .Values.webConfig.tls .Values.webConfig.config.tls_server_config }}true{{ end -}}
{{- end -}}

{{/* "true" where the server asks for what the kubelet does not have, or answers only so many requests. */}}
{{- define "tcpvitals.guarded" -}}
{{- $config := .Values.webConfig.config -}}
{{- $tls := default dict $config.tls_server_config -}}
{{- $type := default "NoClientCert" $tls.client_auth_type -}}
{{- if or .Values.webConfig.auth $config.basic_auth_users $config.rate_limit (has $type (list "RequireAnyClientCert" "RequireAndVerifyClientCert")) }}true{{ end -}}
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
{{- $own := deepCopy .Values.monitor.endpoint -}}
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
{{- toYaml (mergeOverwrite $endpoint $own) -}}
{{- end -}}
