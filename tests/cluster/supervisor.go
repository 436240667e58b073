package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const startLimit = 2 * time.Minute

// supervisor owns the parts of one running cluster.
type supervisor struct {
	layout     layout
	etcdURL    string
	port       int
	server     string
	apiserver  *component
	controller *component
}

// component is one child process; closing its input asks it to stop.
type component struct {
	command *exec.Cmd
	input   io.Closer
	done    chan error
}

func start(args []string) error {
	flags := flag.NewFlagSet("start", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for data, logs, keys and the kubeconfig; made anew")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("--dir is required")
	}
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	s := &supervisor{layout: layout{*dir}}
	etcd, err := s.startEtcd()
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()
	if s.port, err = freePort(); err != nil {
		return err
	}
	s.server = fmt.Sprintf("https://127.0.0.1:%d", s.port)
	if err := writeCredentials(s.layout, s.server); err != nil {
		return err
	}
	if err := os.WriteFile(s.layout.path(auditPolicyFile), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	defer s.stop()
	if err := s.startAPIServer(); err != nil {
		return err
	}
	if s.controller, err = s.spawn(roleControllerManager, controllerManagerArgs(s.layout)); err != nil {
		return err
	}
	fmt.Printf("ready %s\n", s.layout.path("kubeconfig"))
	return s.serve()
}

// serve answers commands until the input ends or a signal comes.
func (s *supervisor) serve() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	lines := make(chan string)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			lines <- strings.TrimSpace(scanner.Text())
		}
	}()
	for {
		select {
		case <-signals:
			return nil
		case line, open := <-lines:
			if !open {
				return nil
			}
			if err := s.command(line); err != nil {
				fmt.Printf("error: %v\n", err)
			} else {
				fmt.Println("ok")
			}
		}
	}
}

func (s *supervisor) command(line string) error {
	switch line {
	case "apiserver stop":
		s.apiserver.stop()
		s.apiserver = nil
		return nil
	case "apiserver start":
		if s.apiserver != nil {
			return errors.New("the apiserver is running")
		}
		return s.startAPIServer()
	default:
		return fmt.Errorf("unknown command %q; want: apiserver stop, apiserver start", line)
	}
}

func (s *supervisor) startAPIServer() error {
	var err error
	if s.apiserver, err = s.spawn(roleAPIServer, apiserverArgs(s.layout, s.etcdURL, s.port)); err != nil {
		return err
	}
	return s.waitReady()
}

func (s *supervisor) stop() {
	s.controller.stop()
	s.apiserver.stop()
}

// startEtcd runs etcd in this process, without fsync: the data does not
// outlive the test.
func (s *supervisor) startEtcd() (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = s.layout.path("etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{s.layout.path("etcd.log")}
	config.UnsafeNoFsync = true
	// Measurements make a hundred thousand objects, each in several versions.
	config.QuotaBackendBytes = 8 << 30
	client, err := loopbackURL()
	if err != nil {
		return nil, err
	}
	peer, err := loopbackURL()
	if err != nil {
		return nil, err
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		s.etcdURL = client.String()
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(startLimit):
		etcd.Close()
		return nil, errors.New("not ready in time")
	}
}

func (s *supervisor) spawn(role string, args []string) (*component, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(s.layout.path(role+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(program, append([]string{role}, args...)...)
	command.Stdout, command.Stderr = log, log
	// A Ctrl-C at the terminal reaches the parent alone, which stops the parts in order.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &component{command: command, input: input, done: make(chan error, 1)}
	go func() { c.done <- command.Wait() }()
	return c, nil
}

func (c *component) stop() {
	if c == nil {
		return
	}
	_ = c.input.Close()
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		_ = c.command.Process.Kill()
		<-c.done
	}
}

// waitReady polls /readyz as the administrator.
func (s *supervisor) waitReady() error {
	client, err := s.adminClient()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(startLimit)
	last := errors.New("no answer")
	for time.Now().Before(deadline) {
		select {
		case err := <-s.apiserver.done:
			s.apiserver = nil
			return fmt.Errorf("kube-apiserver ended (%v); see %s", err, s.layout.path("apiserver.log"))
		case <-time.After(100 * time.Millisecond):
		}
		response, err := client.Get(s.server + "/readyz")
		if err != nil {
			last = err
			continue
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return nil
		}
		last = fmt.Errorf("%s: %s", response.Status, body)
	}
	return fmt.Errorf("kube-apiserver is not ready: %w", last)
}

func (s *supervisor) adminClient() (*http.Client, error) {
	pair, err := tls.LoadX509KeyPair(s.layout.path("admin.crt"), s.layout.path("admin.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(s.layout.path("ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS13,
	}}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}, nil
}

func loopbackURL() (url.URL, error) {
	port, err := freePort()
	return url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}, err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("not a TCP address")
	}
	return address.Port, nil
}
