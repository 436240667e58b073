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
)

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
		// There is one server and nothing routes to it through a Service.
		"--endpoint-reconciler-type=none",
		"--shutdown-delay-duration=0s",
	}
}

func controllerManagerArgs(l layout) []string {
	return []string{
		"--kubeconfig=" + l.path("kubeconfig"),
		"--root-ca-file=" + l.path("ca.crt"),
		"--service-account-private-key-file=" + l.path("service-account.key"),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false",
		"--secure-port=0",
	}
}
