// Package vertex reads what a Google Cloud billing account is charged for AI
// (Vertex AI, the Gemini API, Claude and other models of the model garden) from
// the Cloud Billing export in BigQuery, over plain REST: the official client hides
// the bytes of the pages, which aispend keeps (measured, apis page 3).
package vertex

// Name is the provider's name in the configuration, in labels and in source ids.
const Name = "vertex"
