package intake

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Serve serves POST /v1/events at addr until SIGTERM or an interrupt, and returns
// when every request that was begun has its answer.
func Serve(addr string, events fasthttp.RequestHandler) error {
	server := &fasthttp.Server{MaxRequestBodySize: MaxBody, CloseOnShutdown: true, Handler: func(ctx *fasthttp.RequestCtx) {
		switch {
		case string(ctx.Path()) != "/v1/events":
			ctx.SetStatusCode(fasthttp.StatusNotFound)
		case !ctx.IsPost():
			ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		default:
			events(ctx)
		}
	}}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe(addr) }()
	select {
	case err := <-served:
		return err
	case <-signals:
		return server.Shutdown()
	}
}

// Accept answers that n events were stored.
func Accept(ctx *fasthttp.RequestCtx, n int) {
	ctx.SetContentType("application/json")
	ctx.Response.AppendBodyString(`{"accepted":`)
	ctx.Response.AppendBody(strconv.AppendInt(nil, int64(n), 10))
	ctx.Response.AppendBodyString("}")
}

// Refuse answers that nothing was, or that it is not known.
func Refuse(ctx *fasthttp.RequestCtx, status int, err error) {
	ctx.Error(err.Error(), status)
}
