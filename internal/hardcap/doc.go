// Package hardcap is the kill switch: Alertmanager tells it that a hard cap is
// reached, the ledger decides whether that is so, and the user's own hook is told,
// signed and at least once.
//
// The alert is a hint and nothing more. Receive takes from it the scope and the
// period, asks the ledger, and keeps an event in the outbox before it answers. Run
// delivers what is pending; before every attempt the ledger is asked again. So a
// replayed or forged alert does nothing that the ledger would not, and nothing is
// sent for a cap that is not breached (any more) or whose period is over.
//
// One event stands for one scope, period, start of the period and threshold, and has
// one id on every replica and for ever (ID). A raised limit is another event.
//
//	           alert, ledger sees no breach        alert, ledger sees a breach
//	(nothing) ------------------------> rejected ------------------+
//	    |                                                          v
//	    +--------------------------------------------------> pending --> delivered
//	                                                          |  ^  \
//	              no breach, other limit, period over, dry run v  |   v 24 h, or 410
//	                                                     cancelled    dead
//
// From cancelled a later alert leads back to pending, from dead and from delivered only
// an admin's retry.
// Tests (test="true") are kept as rejected and are never sent.
package hardcap
