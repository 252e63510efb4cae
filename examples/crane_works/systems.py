"""The tables of each system: CRM, MES, telematics, service desk, SMS gateway, survey, app.

Each has identifiers and habits of its own: local times without a zone, instants, seconds, dates as
text. What nobody in the company knows is in `truth.py`.
"""

from __future__ import annotations

from examples.crane_works.tables import Table

_CHANGED = {"created_at": "local", "updated_at": "local", "is_deleted": "boolean"}

ACCOUNTS = Table(
    "crm",
    "accounts",
    {
        "account_no": "text",
        "company_name": "text",
        "tax_number": "text",
        "phone": "text",
        "province": "text",
        "city": "text",
        "industry": "text",
        "dealer_code": "text",
        "sales_rep": "text",
        **_CHANGED,
    },
    ("account_no",),
)
ACCOUNT_MERGES = Table(
    "crm",
    "account_merges",
    {
        "merge_id": "integer",
        "surviving_account_no": "text",
        "merged_account_no": "text",
        "merged_at": "local",
        "reversed_at": "local",
    },
    ("merge_id",),
)
CONTACTS = Table(
    "crm",
    "contacts",
    {
        "contact_id": "integer",
        "account_no": "text",
        "full_name": "text",
        "mobile": "text",
        "role": "text",
        "may_be_called": "boolean",
        **_CHANGED,
    },
    ("contact_id",),
)
OPPORTUNITIES = Table(
    "crm",
    "opportunities",
    {
        "opportunity_no": "text",
        "account_no": "text",
        "model_code": "text",
        "quantity": "integer",
        "amount_cny": "money",
        "discount_pct": "number",
        "competitor": "text",
        "stage": "text",
        "win_pct": "integer",
        "expected_close_on": "date",
        "closed_at": "local",
        "lost_reason": "text",
        "sales_rep": "text",
        **_CHANGED,
    },
    ("opportunity_no",),
)
STAGE_HISTORY = Table(
    "crm",
    "opportunity_stages",
    {
        "opportunity_no": "text",
        "stage": "text",
        "entered_at": "local",
    },
)
ACTIVITIES = Table(
    "crm",
    "activities",
    {
        "activity_id": "text",
        "opportunity_no": "text",
        "kind": "text",
        "happened_at": "local",
    },
)
CONTRACTS = Table(
    "crm",
    "contracts",
    {
        "contract_no": "text",
        "account_no": "text",
        "opportunity_no": "text",
        "signed_on": "date",
        "quantity": "integer",
        "amount": "money",
        "currency": "text",
        "instalment_count": "integer",
        **_CHANGED,
    },
    ("contract_no",),
)
INSTALMENTS = Table(
    "crm",
    "instalments",
    {
        "contract_no": "text",
        "instalment_no": "integer",
        "due_on": "date",
        "amount": "money",
        "updated_at": "local",
    },
    ("contract_no", "instalment_no"),
)
PAYMENTS = Table(
    "crm",
    "payments",
    {
        "payment_no": "text",
        "contract_no": "text",
        "instalment_no": "integer",
        "paid_on": "date",
        "amount": "money",
        **_CHANGED,
    },
    ("payment_no",),
)
PROMISES = Table(
    "crm",
    "payment_promises",
    {
        "promise_id": "text",
        "contract_no": "text",
        "instalment_no": "integer",
        "promised_at": "local",
        "promised_for": "date",
        "amount": "money",
    },
)
RETURNS = Table(
    "crm",
    "machine_returns",
    {
        "return_no": "text",
        "serial_no": "text",
        "account_no": "text",
        "contract_no": "text",
        "returned_on": "date",
        "reason": "text",
    },
)
OWNERSHIP = Table(
    "crm",
    "machine_owners",
    {
        "serial_no": "text",
        "account_no": "text",
        "owned_from": "date",
        "how": "text",
    },
)
EXCHANGE_RATES = Table(
    "crm",
    "exchange_rates",
    {
        "currency": "text",
        "month": "date",
        "cny": "number",
    },
)
MACHINES = Table(
    "mes",
    "machines",
    {
        "serial_no": "text",
        "model_code": "text",
        "built_on": "compact_date",
        "plant": "text",
        "standard_cost": "money",
        "warranty_months": "integer",
    },
)
MODELS = Table(
    "mes",
    "models",
    {
        "model_code": "text",
        "kind": "text",
        "tonnes": "integer",
        "list_price_cny": "money",
        "replacement_years": "integer",
        "maintenance_hours": "integer",
    },
)
DELIVERIES = Table(
    "mes",
    "deliveries",
    {
        "delivery_note": "text",
        "serial_no": "text",
        "debtor_no": "text",
        "debtor_name": "text",
        "tax_number": "text",
        "contract_no": "text",
        "delivered_on": "compact_date",
    },
)
DEVICES = Table(
    "telematics",
    "devices",
    {
        "device_id": "integer",
        "serial_no": "text",
        "installed_at": "instant",
        "removed_at": "instant",
        "fuel_unit": "text",
    },
    ("device_id",),
)
READINGS = Table(
    "telematics",
    "readings",
    {
        "reading_id": "integer",
        "device_id": "integer",
        "measured_at": "instant",
        "received_at": "instant",
        "work_hours": "number",
        "idle_hours": "number",
        "hour_meter": "number",
        "load_pct": "number",
        "fuel": "number",
        "fuel_unit": "text",
        "region_code": "text",
        "fault_codes": "text",
    },
)
CALLS = Table(
    "service_desk",
    "calls",
    {
        "call_id": "text",
        "called_at": "local",
        "caller_phone": "text",
        "company_said": "text",
        "serial_no": "text",
        "topic": "text",
        "call_text": "text",
    },
)
WORK_ORDERS = Table(
    "service_desk",
    "work_orders",
    {
        "order_no": "text",
        "call_id": "text",
        "serial_no": "text",
        "kind": "text",
        "status": "text",
        "opened_at": "local",
        "arrived_at": "local",
        "closed_at": "local",
        "under_warranty": "boolean",
        "labour_hours": "number",
        "site": "text",
        "work_text": "text",
        "updated_at": "local",
    },
    ("order_no",),
)
COMPLAINTS = Table(
    "service_desk",
    "complaints",
    {
        "complaint_no": "text",
        "call_id": "text",
        "serial_no": "text",
        "severity": "integer",
        "complaint_text": "text",
        "opened_at": "local",
        "resolved_at": "local",
        "updated_at": "local",
    },
    ("complaint_no",),
)
PARTS = Table(
    "service_desk",
    "parts_used",
    {
        "order_no": "text",
        "part_no": "text",
        "part_name": "text",
        "quantity": "integer",
        "unit_price": "money",
    },
)
MESSAGES = Table(
    "sms",
    "messages",
    {
        "message_id": "integer",
        "msisdn": "text",
        "campaign": "text",
        "sent_ts": "epoch",
        "delivered_ts": "epoch",
        "replied_ts": "epoch",
        "reply": "text",
        "status": "text",
    },
    ("message_id",),
)
SURVEY = Table(
    "survey",
    "answers",
    {
        "answer_id": "integer",
        "company": "text",
        "province": "text",
        "respondent_phone": "text",
        "answered_on": "slashed_date",
        "score": "integer",
        "scale": "integer",
        "remark": "text",
    },
)
APP_USERS = Table(
    "app",
    "users",
    {
        "user_id": "text",
        "phone": "text",
        "company_typed": "text",
        "registered_at": "instant",
    },
)
APP_EVENTS = Table(
    "app",
    "events",
    {
        "event_id": "text",
        "user_id": "text",
        "kind": "text",
        "happened_at": "instant",
        "subject": "text",
        "amount_cny": "money",
    },
)
SYSTEMS = (
    *(ACCOUNTS, ACCOUNT_MERGES, CONTACTS, OPPORTUNITIES, STAGE_HISTORY, ACTIVITIES, CONTRACTS),
    *(INSTALMENTS, PAYMENTS, PROMISES, RETURNS, OWNERSHIP, EXCHANGE_RATES),
    *(MACHINES, MODELS, DELIVERIES, DEVICES, READINGS),
    *(CALLS, WORK_ORDERS, COMPLAINTS, PARTS, MESSAGES, SURVEY, APP_USERS, APP_EVENTS),
)
