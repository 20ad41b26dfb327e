// sidecar is the tests' sidecar: it listens, becomes ready, is asked to quit, and ends, each as
// its flags say. With no flags it is a good one.
//
//	GET  /healthz        200 once it is ready, 503 before
//	POST /quitquitquit   as -quit says; any other method is answered with 405
//	SIGTERM              as -term says
//
// Every step is a line on standard output, with its time; a line is out before its step is taken.
// A new odd kind of sidecar is a new line in quitModes or termModes.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A quit mode answers the n-th (from 1) request to quit and says whether the sidecar then ends.
var quitModes = map[string]func(n int32, w http.ResponseWriter) bool{
	"exit":   answer(http.StatusOK, true),
	"ignore": answer(http.StatusOK, false), // says yes, and runs on
	"404":    answer(http.StatusNotFound, false),
	"405":    answer(http.StatusMethodNotAllowed, false),
	"500":    answer(http.StatusInternalServerError, false),
	"hang": func(int32, http.ResponseWriter) bool {
		select {}
	},
	"lost-once": func(n int32, _ http.ResponseWriter) bool {
		if n == 1 {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		return true
	},
	"busy-once": func(n int32, w http.ResponseWriter) bool {
		if n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return n > 1
	},
}

// A term mode says whether SIGTERM ends the sidecar.
var termModes = map[string]bool{"exit": true, "deaf": false}

func answer(status int, ends bool) func(int32, http.ResponseWriter) bool {
	return func(_ int32, w http.ResponseWriter) bool {
		w.WriteHeader(status)
		return ends
	}
}

func modes[T any](of map[string]T) string {
	names := []string{}
	for name := range of {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

var (
	addr        = flag.String("addr", ":8080", "where to listen")
	listenAfter = flag.Duration("listen-after", 0, "refuse connections for so long")
	readyAfter  = flag.Duration("ready-after", 0, "answer /healthz with 503 for so long")
	endAfter    = flag.Duration("end-after", 0, "end unasked after so long (0: never)")
	drain       = flag.Duration("drain", 0, "take so long to end once asked")
	code        = flag.Int("exit", 0, "exit with this code when asked to end")
	first       = flag.String("first", "", "be odd (-end-after, -exit, -quit) only where this file is not there yet, and make it")
	quitMode    = flag.String("quit", "exit", modes(quitModes))
	termMode    = flag.String("term", "exit", modes(termModes))
)

var ready atomic.Bool

func say(format string, args ...any) {
	fmt.Println(time.Now().UTC().Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
}

func main() {
	flag.Parse()
	if *first != "" {
		beOddOnce(*first)
	}
	quit, known := quitModes[*quitMode]
	ends, knownToo := termModes[*termMode]
	if !known || !knownToo || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}

	asked := make(chan string, 1) // why the sidecar ends
	go onSignal(ends, asked)
	if *endAfter > 0 {
		time.AfterFunc(*endAfter, func() { asked <- "its time" })
	}
	server := http.Server{Handler: routes(quit, asked), Addr: *addr}
	go begin(&server)

	why := <-asked
	time.Sleep(*drain)
	// Let the answer to the request reach its sender; a hanging one is not waited for.
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(soon)
	say("ends after %s with code %d", why, *code)
	os.Exit(*code)
}

func beOddOnce(file string) {
	made, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err == nil {
		made.Close()
		return
	}
	*endAfter, *code, *quitMode = 0, 0, "exit"
}

func begin(server *http.Server) {
	time.Sleep(*listenAfter)
	say("listens")
	go serve(server)
	time.Sleep(*readyAfter - *listenAfter)
	say("ready")
	ready.Store(true)
}

func serve(server *http.Server) {
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		say("%v", err)
		os.Exit(1)
	}
}

func onSignal(ends bool, asked chan<- string) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGTERM)
	for range got {
		say("got SIGTERM")
		if ends {
			asked <- "SIGTERM"
		}
	}
}

func routes(quit func(int32, http.ResponseWriter) bool, asked chan<- string) http.Handler {
	var requests atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, "sidecar")
	})
	mux.HandleFunc("POST /quitquitquit", func(w http.ResponseWriter, _ *http.Request) {
		n := requests.Add(1)
		say("quit request %d", n)
		if quit(n, w) {
			asked <- "a quit request"
		}
	})
	return mux
}
