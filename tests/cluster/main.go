// Command cluster runs a real Kubernetes control plane on loopback for the
// tests: an embedded etcd, a kube-apiserver and the controllers that the tests
// rely on. There are no nodes and no scheduler, so pods stay Pending.
//
// It is one program in three roles. Started as `cluster start`, it runs etcd and
// starts itself again as `cluster apiserver` and `cluster controller-manager`;
// the two register the same global flags and cannot share a process.
//
// The parent speaks lines on standard input and output, so that a test can stop
// one part and bring it back:
//
//	-> apiserver stop | apiserver start        <- ok | error: …
//	-> end of input                            everything stops
package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: cluster start --dir DIR")
	}
	switch role, rest := args[0], args[1:]; role {
	case "start":
		return start(rest)
	case roleAPIServer, roleControllerManager:
		stopWithParent()
		return runComponent(role, rest)
	default:
		return fmt.Errorf("unknown role %q; want start", role)
	}
}

// stopWithParent ends this process when its standard input closes, which
// happens however the parent ends: nothing is left running after a killed test.
func stopWithParent() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
}
