package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const (
	roleAPIServer         = "apiserver"
	roleControllerManager = "controller-manager"

	controllerKubeconfig = "controller-manager.kubeconfig"
	auditPolicyFile      = "audit-policy.yaml"
	auditLogFile         = "audit.jsonl"
)

// auditPolicy has each write that was answered in the log, in one line: who,
// what and the answer's code. Leases and events of the system tell nothing.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: None
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
  resources: [{group: "", resources: [events]}, {group: events.k8s.io, resources: [events]}]
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// controllers are those whose effects the tests look at.
var controllers = []string{
	"namespace-controller",
	"resourcequota-controller",
	"garbage-collector-controller",
	"serviceaccount-controller",
	"root-ca-certificate-publisher-controller",
	"deployment-controller",
	"replicaset-controller",
	"disruption-controller",
	"horizontal-pod-autoscaler-controller",
}

func runComponent(role string, args []string) error {
	var command *cobra.Command
	if role == roleAPIServer {
		command = apiserver.NewAPIServerCommand()
	} else {
		command = controllermanager.NewControllerManagerCommand()
	}
	command.SetArgs(args)
	return command.Execute()
}

func apiserverArgs(l layout, etcd string, port int) []string {
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + l.path("apiserver.crt"),
		"--tls-private-key-file=" + l.path("apiserver.key"),
		"--client-ca-file=" + l.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + l.path("service-account.pub"),
		"--service-account-signing-key-file=" + l.path("service-account.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=RBAC",
		// As in most clusters, so that what refuses a privileged pod is the namespace.
		"--allow-privileged=true",
		// There is one server and nothing routes to it through a Service.
		"--endpoint-reconciler-type=none",
		"--shutdown-delay-duration=0s",
		"--audit-policy-file=" + l.path(auditPolicyFile),
		"--audit-log-path=" + l.path(auditLogFile),
		"--audit-log-maxsize=10000",
	}
}

func controllerManagerArgs(l layout) []string {
	return []string{
		"--kubeconfig=" + l.path(controllerKubeconfig),
		"--use-service-account-credentials=true",
		"--root-ca-file=" + l.path("ca.crt"),
		"--service-account-private-key-file=" + l.path("service-account.key"),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0",
		// A thousand namespaces at once must not wait for the controllers' own rate.
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-namespace-syncs=20",
		"--concurrent-resource-quota-syncs=20",
		"--resource-quota-sync-period=30s",
	}
}
