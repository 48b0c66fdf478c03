-- aispend: what AI is billed per day, project and SKU, by one Cloud Billing export
WITH line AS (
  SELECT
    IFNULL(
      usage_start_time >= TIMESTAMP(@from_day, @tz)
      AND usage_start_time < TIMESTAMP(@to_day, @tz)
      AND (
        service.id IN UNNEST(@service_ids)
        OR (@service_pattern != '' AND REGEXP_CONTAINS(service.description, @service_pattern))
        OR (@sku_pattern != '' AND REGEXP_CONTAINS(TRIM(sku.description), @sku_pattern))
      ),
      FALSE) AS wanted,
    DATE(usage_start_time, @tz) AS usage_day,
    invoice.month AS invoice_month,
    billing_account_id,
    project.id AS project_id,
    service.id AS service_id,
    service.description AS service,
    sku.id AS sku_id,
    TRIM(sku.description) AS sku,
    IFNULL(cost_type, 'regular') AS cost_type,
    currency,
    currency_conversion_rate AS fx,
    CAST(cost AS NUMERIC) AS gross,
    IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) AS c), NUMERIC '0') AS credit,
    usage.amount AS usage_amount,
    usage_start_time,
    export_time
  FROM `acme-billing.billing_export.gcp_billing_export_v1_01AAAA_BBBBBB_CCCCC2`
  WHERE (_PARTITIONTIME >= TIMESTAMP(DATE_SUB(@from_day, INTERVAL 2 DAY)) OR _PARTITIONTIME IS NULL)
),
keyed AS (
  SELECT
    IF(wanted, 'cost', 'rest') AS kind,
    IF(wanted, usage_day, NULL) AS usage_day,
    IF(wanted, invoice_month, NULL) AS invoice_month,
    IF(wanted, billing_account_id, NULL) AS billing_account_id,
    IF(wanted, project_id, NULL) AS project_id,
    IF(wanted, service_id, NULL) AS service_id,
    IF(wanted, service, NULL) AS service,
    IF(wanted, sku_id, NULL) AS sku_id,
    IF(wanted, sku, NULL) AS sku,
    IF(wanted, cost_type, NULL) AS cost_type,
    IF(wanted, currency, NULL) AS currency,
    IF(wanted, fx, NULL) AS fx,
    IF(wanted, gross, NULL) AS gross,
    IF(wanted, credit, NULL) AS credit,
    IF(wanted, usage_amount, NULL) AS usage_amount,
    usage_start_time,
    export_time
  FROM line
)
SELECT
  kind, usage_day, invoice_month, billing_account_id, project_id,
  service_id, service, sku_id, sku, cost_type, currency, fx,
  SUM(gross) AS gross,
  SUM(credit) AS credits,
  SUM(usage_amount) AS usage_amount,
  COUNT(*) AS row_count,
  UNIX_MICROS(MAX(export_time)) AS last_export_us,
  UNIX_MICROS(MIN(usage_start_time)) AS first_usage_us
FROM keyed
GROUP BY
  kind, usage_day, invoice_month, billing_account_id, project_id,
  service_id, service, sku_id, sku, cost_type, currency, fx
ORDER BY
  kind, usage_day, service_id, sku_id, project_id, billing_account_id,
  invoice_month, cost_type, currency, fx, service, sku
