{{- define "capture-agent.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "capture-agent.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "capture-agent.labels" -}}
{{ include "capture-agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "capture-agent.configSecret" -}}
{{ .Values.existingConfigSecret | default (include "capture-agent.name" .) }}
{{- end -}}

{{- define "capture-agent.tokenSecret" -}}
{{ .Values.http.existingTokenSecret | default (printf "%s-token" (include "capture-agent.name" .)) }}
{{- end -}}
