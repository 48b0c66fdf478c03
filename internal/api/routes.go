package api

import (
	"net/http"

	"github.com/julienschmidt/httprouter"
)

// Who may call a route.
type Who string

// The guards of a route. Metrics routes are open unless a read token is set and
// metrics_open is not. An admin token opens read routes too. Inbound is Alertmanager:
// where an inbound token is set it is the only one, else the admin token is.
const (
	Open    Who = "open"
	Metrics Who = "metrics"
	Read    Who = "read"
	Admin   Who = "admin"
	Inbound Who = "inbound"
)

// Route is one row of the route table as others may see it.
type Route struct {
	Method  string
	Pattern string // httprouter's spelling: "/raw/:provider"
	Who     Who
}

// Routes returns the route table. HEAD, which is registered for every GET, is
// not in it.
func Routes() []Route {
	table := routeTable()
	out := make([]Route, len(table))
	for i, r := range table {
		out[i] = r.Route
	}
	return out
}

// handler checks a request's parameters and returns the work still to be done.
// It does no work itself: HEAD stops after it.
type handler func(*Server, *http.Request, httprouter.Params) (answer, error)

type route struct {
	Route
	class  class
	handle handler
}

// routeTable is the one list of everything that the daemon answers.
func routeTable() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{Route{get, "/", Open}, classPage, (*Server).getPage},
		{Route{get, "/assets/style.css", Open}, classNone, (*Server).getStyle},
		{Route{get, "/metrics", Metrics}, classNone, (*Server).getMetrics},
		{Route{get, "/-/healthy", Open}, classNone, (*Server).getHealthy},
		{Route{get, "/-/ready", Open}, classNone, (*Server).getReady},
		{Route{post, "/-/reload", Admin}, classReload, (*Server).postReload},
		{Route{get, "/status", Read}, classNone, (*Server).getStatus},
		{Route{get, "/spend", Read}, classSpend, (*Server).getSpend},
		{Route{get, "/caps", Read}, classNone, (*Server).getCaps},
		{Route{get, "/config", Read}, classNone, (*Server).getConfig},
		{Route{get, "/raw/:provider", Admin}, classRaw, (*Server).getRawList},
		{Route{get, "/providers/:provider/raw", Admin}, classRaw, (*Server).getRawList},
		{Route{get, "/raw/:provider/:id", Admin}, classRaw, (*Server).getRawPage},
		{Route{post, "/recompute", Admin}, classRecompute, (*Server).postRecompute},
		{Route{post, "/admin/recompute", Admin}, classRecompute, (*Server).postRecompute},
		{Route{post, "/test/alert", Admin}, classTestAlert, (*Server).postTestAlert},
		{Route{post, "/webhook/hard-cap", Inbound}, classHook, (*Server).postHook},
		{Route{get, "/hard-cap/deliveries", Admin}, classNone, (*Server).getDeliveries},
		{Route{post, "/hard-cap/deliveries/:id/retry", Admin}, classNone, (*Server).postRetry},
	}
}

func (s *Server) newRouter() *httprouter.Router {
	r := httprouter.New()
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	r.HandleMethodNotAllowed = true
	r.PanicHandler = s.panicked
	r.NotFound = s.failing(func(*http.Request, http.Header) error {
		return problemf(http.StatusNotFound,
			"no such route; GET / lists them all (paths are case-sensitive and have no final slash)")
	})
	r.MethodNotAllowed = s.failing(func(req *http.Request, h http.Header) error {
		return problemf(http.StatusMethodNotAllowed, "this route does not take %s; allowed: %s",
			shorten(req.Method), h.Get("Allow"))
	})
	r.GlobalOPTIONS = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	for _, rt := range routeTable() {
		r.Handle(rt.Method, rt.Pattern, s.serve(rt))
		if rt.Method == http.MethodGet {
			r.Handle(http.MethodHead, rt.Pattern, s.serve(rt))
		}
	}
	return r
}
