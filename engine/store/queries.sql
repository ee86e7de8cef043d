-- Every query of the store. A line "-- name: what it does" begins one; engine/store/sql.py reads this file.

-- keep_call_end: Keep the end of a call; a row comes back where it was not there before.
insert into call_end (tenant_id, call_sid, outcome_class, outcome_reason, document, caller, ended_at)
values ($1, $2, $3, $4, $5, $6, coalesce($7, now()))
on conflict do nothing
returning call_sid

-- keep_messages: Keep the audio of a call's messages, in their order.
insert into message (tenant_id, call_sid, position, mulaw)
select $1, $2, audio.position, audio.mulaw
from unnest($3::bytea[]) with ordinality as audio (mulaw, position)

-- call_ends: A tenant's calls, oldest first, each with the audio of its messages.
select document, (
    select coalesce(array_agg(m.mulaw order by m.position), '{}')
    from message m where m.tenant_id = c.tenant_id and m.call_sid = c.call_sid
) as audio
from call_end c
where tenant_id = $1
order by kept_order

-- keep_follow_up: Keep something to do; a row comes back where it was not there before.
insert into follow_up (tenant_id, key, call_sid, kind, document, caller)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
returning key

-- follow_ups: A tenant's, oldest first.
select document from follow_up where tenant_id = $1 order by kept_order

-- keep_usage: Keep what a call used; a row comes back where it was not there before.
insert into usage_record (tenant_id, call_sid, kind, quantity, document, noted_at)
values ($1, $2, $3, $4, $5, coalesce($6, now()))
on conflict do nothing
returning kind

-- usage: What a tenant's calls used, oldest first.
select document from usage_record where tenant_id = $1 order by kept_order

-- taken_slots: Start times that are gone on a day.
select starts from appointment where tenant_id = $1 and starts >= $2 and starts < $3

-- book: Take a slot; a row comes back where it was free and the reference new.
insert into appointment (tenant_id, starts, reference, name, phone, reason)
values ($1, $2, $3, $4, $5, $6)
on conflict do nothing
returning reference

-- appointment_by_reference: The booking that was made under this reference.
select tenant_id, reference, starts, name, phone, reason from appointment where tenant_id = $1 and reference = $2

-- appointments_of_phone: Those made under exactly this number, soonest first.
select tenant_id, reference, starts, name, phone, reason
from appointment where tenant_id = $1 and phone = $2
order by starts

-- claim: Ask for the right to run an effect: one statement, committed when it returns.
select verdict, tool, digest, scope, response from ledger_claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- finish: The attempt that owns the entry has an answer for good; a row comes back where it still owns it.
update tool_ledger set state = 'done', response = $5
where tenant_id = $1 and call_sid = $2 and effect_id = $3 and attempt = $4 and state = 'claimed'
returning effect_id

-- lock_ids: The call ids that lead to an effect, in one order, before the effect's own entry (see ledger_claim).
select call_id from tool_call_id where tenant_id = $1 and call_sid = $2 and effect_id = $3
order by call_id for update

-- abandon: Nothing was done: the entry goes; a row comes back where the attempt still owned it.
delete from tool_ledger
where tenant_id = $1 and call_sid = $2 and effect_id = $3 and attempt = $4 and state = 'claimed'
returning effect_id

-- tell: What the call ids of an abandoned effect were told, by which attempt.
update tool_call_id set told = $4, told_by = $5
where tenant_id = $1 and call_sid = $2 and effect_id = $3 and told is null

-- settled: Wake those who wait for this effect, in every process.
select pg_notify('ledger_settled', $1)

-- entry: How an effect stands.
select attempt, state, response, extract(epoch from lease_until - clock_timestamp())::float8 as lease_left_s
from tool_ledger where tenant_id = $1 and call_sid = $2 and effect_id = $3

-- told: What was said when this attempt was abandoned.
select told from tool_call_id where tenant_id = $1 and call_sid = $2 and effect_id = $3 and told_by = $4 limit 1

-- forget_entries: The effects of a call that is over and wrapped up.
delete from tool_ledger where tenant_id = $1 and call_sid = $2

-- forget_ids: The call ids of a call that is over and wrapped up.
delete from tool_call_id where tenant_id = $1 and call_sid = $2

-- lock_tenants: One writer at a time, so that two cannot take one number past each other.
select pg_advisory_xact_lock(hashtextextended('frontdesk.tenants', 0))

-- number_owners: Who else has one of these numbers.
select number, tenant_id from number where number = any ($2::text[]) and tenant_id <> $1 order by number

-- put_tenant: Write the document; a row comes back where it is new, or other than before, or its numbers are ($3).
insert into tenant as t (tenant_id, document, version)
values ($1, $2, 1)
on conflict (tenant_id) do update set document = excluded.document, version = t.version + 1, updated_at = now()
    where t.document::text <> excluded.document::text or $3
returning version

-- drop_numbers: Numbers that the tenant no longer has.
delete from number where tenant_id = $1 and number <> all ($2::text[])

-- add_numbers: Numbers that the tenant has from now on.
insert into number (number, tenant_id) select unnest($2::text[]), $1 on conflict do nothing

-- tenant: One tenant's document.
select tenant_id, document, version, array(select n.number from number n where n.tenant_id = t.tenant_id order by n.number) as numbers
from tenant t where tenant_id = $1

-- tenants: Every tenant's document.
select tenant_id, document, version, array(select n.number from number n where n.tenant_id = t.tenant_id order by n.number) as numbers
from tenant t order by tenant_id

-- tenants_page: So many of them, by id, from after one on.
select tenant_id, document, version, array(select n.number from number n where n.tenant_id = t.tenant_id order by n.number) as numbers
from tenant t where tenant_id > $1 order by tenant_id limit $2

-- delete_tenant: The document and its numbers; a row comes back where it was there.
delete from tenant where tenant_id = $1 returning tenant_id

-- delete_knowledge: All sources of a tenant, with their passages and vectors.
delete from source where tenant_id = $1

-- tenant_changed: Tell every process, once this is committed.
select pg_notify('tenant_changed', $1)

-- lock_source: One writer at a time for one source, until the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('frontdesk.source.' || $1 || '/' || $2, 0))

-- put_source: Write what is known of a source.
insert into source (tenant_id, source_id, name, kind, digest) values ($1, $2, $3, $4, $5)
on conflict (tenant_id, source_id) do update
    set name = excluded.name, kind = excluded.kind, digest = excluded.digest, updated_at = now()

-- passages_of_source: What a source consists of.
select passage_id from passage where tenant_id = $1 and source_id = $2

-- drop_passages: Passages that are no longer in the source; their vectors go with them.
delete from passage where tenant_id = $1 and source_id = $2 and passage_id = any ($3::text[])

-- put_passages: Write passages; those that were there get their new position.
insert into passage (tenant_id, source_id, passage_id, position, heading, body, digest)
select $1, $2, fresh.* from unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::text[]) as fresh
on conflict (tenant_id, passage_id) do update
    set position = excluded.position, heading = excluded.heading, body = excluded.body

-- vectors_of_digests: One vector of a model for each of these digests that has one.
select distinct on (p.digest) p.digest, v.emb
from passage p join passage_vector v on v.tenant_id = p.tenant_id and v.passage_id = p.passage_id
where p.tenant_id = $1 and v.model = $2 and p.digest = any ($3::text[])
order by p.digest

-- dimensions: How long this tenant's vectors of a model are.
select vector_dims(emb) from passage_vector where tenant_id = $1 and model = $2 limit 1

-- put_vector: Write a passage's vector.
insert into passage_vector (tenant_id, passage_id, model, emb) values ($1, $2, $3, $4)
on conflict (tenant_id, passage_id, model) do update set emb = excluded.emb

-- known_digests: Which of these digests have a vector of this model.
select distinct p.digest
from passage p join passage_vector v on v.tenant_id = p.tenant_id and v.passage_id = p.passage_id
where p.tenant_id = $1 and v.model = $2 and p.digest = any ($3::text[])

-- nearest: The passages nearest to a vector, by cosine. "+ 0" keeps the search exact whatever indexes there may be.
select s.name as source, p.heading, p.body, 1 - near.distance as score
from (
    select tenant_id, passage_id, (emb <=> $3) + 0 as distance
    from passage_vector
    where tenant_id = $1 and model = $2
    order by distance, passage_id
    limit $4
) near
join passage p on p.tenant_id = near.tenant_id and p.passage_id = near.passage_id
join source s on s.tenant_id = p.tenant_id and s.source_id = p.source_id
order by near.distance, p.passage_id

-- lexical: The passages that share most with a text's words, whichever of them.
with wanted as (
    select string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery as words
    from unnest(to_tsvector('english', $2))
)
select s.name as source, p.heading, p.body, ts_rank(p.words, wanted.words) as score
from wanted, passage p
join source s on s.tenant_id = p.tenant_id and s.source_id = p.source_id
where p.tenant_id = $1 and p.words @@ wanted.words
order by score desc, p.passage_id
limit $3

-- sources: A tenant's sources, by name.
select source_id, name, kind, digest from source where tenant_id = $1 order by name, source_id

-- delete_source: A source with all that came of it; a row comes back where it was there.
delete from source where tenant_id = $1 and source_id = $2 returning source_id

-- claim_call: Take a call over for a recovery ($4 null), or for a stream with this nonce; a row comes back if it may.
insert into live_call as l (tenant_id, call_sid, worker, epoch, attempts, state, reason, caller, nonces)
values (
    $1, $2, $3, 1, case when $4::text is null then 1 else 0 end,
    case when $4::text is null then 'ringing' else 'live' end,
    '', $6, case when $4::text is null then '{}' else array[$4::text] end
)
on conflict (tenant_id, call_sid) do update set
    worker = $3,
    epoch = l.epoch + 1,
    attempts = l.attempts + case when $4::text is null then 1 else 0 end,
    state = case when $4::text is not null then 'live' when l.state = 'ringing' then 'ringing' else 'lost' end,
    caller = coalesce(nullif(l.caller, ''), $6),
    nonces = case
        when $4::text is null then l.nonces
        else (l.nonces || $4::text)[greatest(1, cardinality(l.nonces) + 2 - $7::int):]
    end,
    touched_at = now()
where $4::text is null
    or (not ($4::text = any (l.nonces)) and (l.state <> 'live' or l.worker = $3 or $5::int > 0))
returning *, extract(epoch from clock_timestamp() - saved_at)::float8 as saved_ago_s, 0::float8 as touched_ago_s

-- for_this_tenant: From here on in this transaction. What is only written behind need not wait for the disk.
select set_config('app.tenant_id', $1, true), set_config('synchronous_commit', 'off', true)

-- keep_live_calls: Write these where the call is still this worker's, and where it is not known.
insert into live_call as l
    (tenant_id, call_sid, worker, epoch, attempts, state, reason, caller, nonces, snapshot)
select $1, k.call_sid, k.worker, k.epoch, k.attempts, k.state, k.reason, k.caller, '{}', k.snapshot::json
from unnest($2::text[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::text[], $9::text[])
    as k (call_sid, worker, epoch, attempts, state, reason, caller, snapshot)
order by k.call_sid
on conflict (tenant_id, call_sid) do update set
    attempts = excluded.attempts,
    state = excluded.state,
    reason = excluded.reason,
    caller = excluded.caller,
    snapshot = coalesce(excluded.snapshot, l.snapshot),
    saved_at = case when excluded.snapshot is null then l.saved_at else now() end,
    touched_at = now()
where l.worker = excluded.worker and l.epoch = excluded.epoch

-- finish_live_calls: Their ends have been kept: nothing of what was said in them stays here.
update live_call l set snapshot = null, messages = '{}'
from unnest($2::text[], $3::text[], $4::bigint[]) as k (call_sid, worker, epoch)
where l.tenant_id = $1 and l.call_sid = k.call_sid and l.worker = k.worker and l.epoch = k.epoch

-- keep_live_messages: All that the caller has left so far.
update live_call set messages = $5 where tenant_id = $1 and call_sid = $2 and worker = $3 and epoch = $4

-- standings: Whose these calls are.
select call_sid, worker, epoch, carrier_over from live_call where tenant_id = $1 and call_sid = any ($2::text[])

-- live_call: One call as it was last kept.
select *, extract(epoch from clock_timestamp() - saved_at)::float8 as saved_ago_s,
    extract(epoch from clock_timestamp() - touched_at)::float8 as touched_ago_s
from live_call where tenant_id = $1 and call_sid = $2

-- mark_call_over: The carrier says that it is over.
update live_call set carrier_over = true where tenant_id = $1 and call_sid = $2

-- abandoned_calls: Claim calls that their worker has left, of all tenants; and forget those that ended long ago.
select *, extract(epoch from clock_timestamp() - saved_at)::float8 as saved_ago_s, 0::float8 as touched_ago_s
from live_calls_abandoned($1, $2, $3, $4)

-- The back office: keys, audit, repeated answers.

-- add_api_key: A new key of a tenant that is there; a row comes back where it is.
insert into api_key (tenant_id, key_id, name, scopes, digest, created_by)
select $1, $2, $3, $4, $5, $6 from tenant where tenant_id = $1
returning *

-- api_key_digest: What proves a key, and whether its tenant is there.
select k.digest, k.scopes, k.revoked_at is not null as revoked,
    exists (select from tenant t where t.tenant_id = k.tenant_id) as served
from api_key k where k.tenant_id = $1 and k.key_id = $2

-- api_keys: A page of a tenant's keys, newest first.
select * from api_key where tenant_id = $1 and ($2::bigint is null or kept_order < $2) order by kept_order desc limit $3

-- api_key: One key.
select * from api_key where tenant_id = $1 and key_id = $2

-- rotate_api_key: A new secret for a key that has not been revoked.
update api_key set digest = $3, rotated_at = now() where tenant_id = $1 and key_id = $2 and revoked_at is null
returning *

-- revoke_api_key: From now on it opens nothing; the first time counts.
update api_key set revoked_at = coalesce(revoked_at, now()) where tenant_id = $1 and key_id = $2 returning *

-- note_audit: Who did what.
insert into audit_entry (tenant_id, who, method, path, status) values ($1, $2, $3, $4, $5)

-- audit_entries: A page of what was done, newest first.
select kept_order, at, who, method, path, status from audit_entry
where tenant_id = $1 and ($2::bigint is null or kept_order < $2)
order by kept_order desc limit $3

-- claim_answer: The right to do what this key is for; a row comes back where nobody has it or their time is over.
insert into idempotency as i (tenant_id, who, key, digest, lease_until)
values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
on conflict (tenant_id, who, key) do update
    set digest = excluded.digest, lease_until = excluded.lease_until, answer = null, kept_at = now()
    where i.kept_at < clock_timestamp() - make_interval(secs => $6)
        or (i.answer is null and i.lease_until < clock_timestamp() and i.digest = excluded.digest)
returning true

-- kept_answer: What was answered to this key.
select digest, answer from idempotency where tenant_id = $1 and who = $2 and key = $3

-- keep_answer: It was done, and this was said.
update idempotency set answer = $4, kept_at = now() where tenant_id = $1 and who = $2 and key = $3

-- drop_answer: It was not done: the key is as if never used.
delete from idempotency where tenant_id = $1 and who = $2 and key = $3 and answer is null

-- forget_answers: Those that are old enough, some at a time.
delete from idempotency where ctid = any (array(
    select ctid from idempotency
    where tenant_id = $1 and kept_at < now() - make_interval(secs => $2)
    order by kept_at limit 100
))

-- Usage and statements.

-- usage_sums: What was used from one instant to another, by kind. A minute of earlier versions is sixty seconds.
select case kind when 'minutes' then 'line-seconds' else kind end as kind,
    sum(case kind when 'minutes' then quantity::numeric * 60 else quantity::numeric end) as quantity,
    count(distinct call_sid) as calls
from usage_record where tenant_id = $1 and noted_at >= $2 and noted_at < $3
group by 1 order by 1

-- lock_statements: One closing of a tenant at a time, until the end of the transaction.
select pg_advisory_xact_lock(hashtextextended('frontdesk.statement.' || $1, 0))

-- bill_usage: Put everything before an instant that is in no statement yet into this month's; its sums, by kind, and
-- how much of it came late: from before the month.
with taken as (
    update usage_record set billed_in = $2
    where tenant_id = $1 and billed_in is null and noted_at < $4
    returning kind, quantity, call_sid, noted_at < $3 as late
)
select case kind when 'minutes' then 'line-seconds' else kind end as kind,
    sum(case kind when 'minutes' then quantity::numeric * 60 else quantity::numeric end) as quantity,
    coalesce(sum(case kind when 'minutes' then quantity::numeric * 60 else quantity::numeric end)
        filter (where late), 0) as late,
    count(distinct call_sid) as calls
from taken group by 1 order by 1

-- open_usage: The same without putting it anywhere: what a statement would say now.
select case kind when 'minutes' then 'line-seconds' else kind end as kind,
    sum(case kind when 'minutes' then quantity::numeric * 60 else quantity::numeric end) as quantity,
    coalesce(sum(case kind when 'minutes' then quantity::numeric * 60 else quantity::numeric end)
        filter (where noted_at < $2), 0) as late,
    count(distinct call_sid) as calls
from usage_record where tenant_id = $1 and billed_in is null and noted_at < $3
group by 1 order by 1

-- keep_statement: A closed month; a row comes back where it had not been closed before.
insert into statement (tenant_id, month, currency, total, document) values ($1, $2, $3, $4, $5)
on conflict do nothing
returning month

-- statement: One.
select month, currency, total, document, closed_at, kept_order from statement where tenant_id = $1 and month = $2

-- statements: A page of a tenant's, newest first.
select month, currency, total, document, closed_at, kept_order from statement
where tenant_id = $1 and ($2::bigint is null or kept_order < $2)
order by kept_order desc limit $3

-- Bills: closed months on their way to the operator's biller.

-- bills_due: Which ones are to be told now, the oldest first. Across tenants.
select tenant_id, month from bill
where state = 'waiting' and next_at <= now() and (lease_until is null or lease_until <= now())
order by kept_order limit $1

-- claim_bill: The right to tell one for so many seconds; with what there is to tell.
with claimed as (
    update bill set attempts = attempts + 1, lease_until = now() + make_interval(secs => $3)
    where tenant_id = $1 and month = $2 and state = 'waiting' and next_at <= now()
        and (lease_until is null or lease_until <= now())
    returning *
)
select c.event_id, c.attempts, s.document, s.closed_at from claimed c join statement s using (tenant_id, month)

-- settle_bill: What came of that try, unless somebody else has it by now.
update bill set state = case when $4::float8 is null then 'done' else 'waiting' end, lease_until = null,
    next_at = now() + make_interval(secs => coalesce($4, 0)), status = $5, error = $6,
    settled_at = case when $4 is null then now() end
where tenant_id = $1 and month = $2 and attempts = $3 and state = 'waiting' and lease_until is not null
returning month

-- send_bill: Tell it, or tell it once more, now; whoever is at it settles nothing.
update bill set state = 'waiting', attempts = 0, next_at = now(), lease_until = null, status = null, error = '',
    settled_at = null
where tenant_id = $1 and month = $2
returning *

-- bill_due: Somebody may tell it.
select pg_notify('bill_due', $1)

-- bills_page: Of all tenants, newest first. Across tenants.
select * from bill where ($1::bigint is null or kept_order < $1) and ($3::text is null or state = $3)
order by kept_order desc limit $2

-- bills_of_month: Whose month that is. Across tenants.
select tenant_id from bill where month = $1 order by tenant_id

-- bills_state: How many wait, and for how many seconds the oldest has. Across tenants.
select count(*) as waiting, coalesce(extract(epoch from now() - min(made_at)), 0)::float8 as oldest_s
from bill where state = 'waiting'

-- Webhooks: endpoints, events, deliveries.

-- add_webhook: A new endpoint, where the tenant is there and has not too many; a row comes back where it is.
insert into webhook_endpoint (tenant_id, endpoint_id, url, description, events, secret)
select $1, $2, $3, $4, $5, $6 from tenant
where tenant_id = $1 and (select count(*) from webhook_endpoint e where e.tenant_id = $1) < $7
returning *

-- webhook: One endpoint.
select * from webhook_endpoint where tenant_id = $1 and endpoint_id = $2

-- webhooks: A page of a tenant's endpoints, newest first.
select * from webhook_endpoint where tenant_id = $1 and ($2::bigint is null or kept_order < $2)
order by kept_order desc limit $3

-- change_webhook: Where not null, the new value. Turned on anew, what was held against it is forgotten.
update webhook_endpoint set
    url = coalesce($3, url),
    description = coalesce($4, description),
    events = coalesce($5::text[], events),
    failing_since = case when $6 = 'on' and state <> 'on' then null else failing_since end,
    state = coalesce($6, state)
where tenant_id = $1 and endpoint_id = $2
returning *

-- rotate_webhook: A new secret; for a while the one before it signs too.
update webhook_endpoint set
    secret_before = secret, before_until = now() + make_interval(secs => $4), secret = $3
where tenant_id = $1 and endpoint_id = $2
returning *

-- drop_webhook: An endpoint with its deliveries; a row comes back where it was there.
delete from webhook_endpoint where tenant_id = $1 and endpoint_id = $2 returning endpoint_id

-- kill_deliveries: What waits for an endpoint that is told nothing any more; it can be replayed.
update delivery set state = 'dead', error = $3, settled_at = now(), lease_until = null
where tenant_id = $1 and endpoint_id = $2 and state = 'waiting'

-- add_event: An event that is no fact of a call's (a test), for one endpoint.
with placed as (
    insert into outbox (tenant_id, event_id, type, call_sid, key) values ($1, $3, $4, '', $3) returning kept_order
)
insert into delivery (tenant_id, endpoint_id, event_id, call_sid, event_order)
select $1, $2, $3, '', kept_order from placed
returning event_id

-- webhook_due: Tell the senders of all processes, once this is committed.
select pg_notify('webhook_due', $1)

-- deliveries: A page of a tenant's deliveries, newest first; of one endpoint, in one state, of one call, where given.
select d.*, o.type, o.at from delivery d join outbox o on o.tenant_id = d.tenant_id and o.event_id = d.event_id
where d.tenant_id = $1 and ($2::bigint is null or d.kept_order < $2)
    and ($4::text is null or d.endpoint_id = $4) and ($5::text is null or d.state = $5)
    and ($6::text is null or d.call_sid = $6)
order by d.kept_order desc limit $3

-- replay_delivery: Once more, from the beginning, whatever became of it; a row comes back where there is one.
update delivery set state = 'waiting', attempts = 0, next_at = now(), lease_until = null, settled_at = null
where tenant_id = $1 and endpoint_id = $2 and event_id = $3
    and (select e.state from webhook_endpoint e where e.tenant_id = $1 and e.endpoint_id = $2) = 'on'
returning event_id

-- replay_dead: Every dead letter of an endpoint, once more.
update delivery set state = 'waiting', attempts = 0, next_at = now(), lease_until = null, settled_at = null
where tenant_id = $1 and endpoint_id = $2 and state = 'dead'
    and (select e.state from webhook_endpoint e where e.tenant_id = $1 and e.endpoint_id = $2) = 'on'
returning event_id

-- webhooks_due: Endpoints of all tenants that have something due.
select due_tenant as tenant_id, due_endpoint as endpoint_id from webhooks_due()

-- webhooks_due_of: Endpoints of one tenant that have something due.
select distinct endpoint_id from delivery
where tenant_id = $1 and state = 'waiting' and next_at <= now() and (lease_until is null or lease_until <= now())

-- claim_deliveries: The right to send some for a while, in their order; of each call only the first that waits.
update delivery d set lease_until = clock_timestamp() + make_interval(secs => $4), attempts = d.attempts + 1
from outbox o
where d.tenant_id = $1 and d.endpoint_id = $2 and o.tenant_id = d.tenant_id and o.event_id = d.event_id
    and d.event_id = any (array(
        select w.event_id from delivery w
        where w.tenant_id = $1 and w.endpoint_id = $2 and w.state = 'waiting' and w.next_at <= clock_timestamp()
            and (w.lease_until is null or w.lease_until <= clock_timestamp())
            and (w.call_sid = '' or not exists (
                select from delivery e
                where e.tenant_id = $1 and e.endpoint_id = $2 and e.call_sid = w.call_sid and e.state = 'waiting'
                    and e.event_order < w.event_order
            ))
        order by w.event_order limit $3
        for update skip locked
    ))
returning d.event_id, d.attempts, d.event_order, o.type, o.call_sid, o.key, o.at

-- lock_webhook: One who settles at a time, before any delivery; whoever makes events does not wait for it.
select from webhook_endpoint where tenant_id = $1 and endpoint_id = $2 for no key update

-- settle_delivery: What came of a try that is still ours: done, dead or gone for good, or waiting until $5 s from now.
update delivery set state = $4, next_at = clock_timestamp() + make_interval(secs => $5), status = $6, error = $7,
    lease_until = null, settled_at = case when $4 = 'waiting' then null else clock_timestamp() end
where tenant_id = $1 and endpoint_id = $2 and event_id = $3 and state = 'waiting' and attempts = $8
returning call_sid, event_order

-- hold_followers: What comes after it of the same call is not due before it either.
update delivery set next_at = greatest(next_at, clock_timestamp() + make_interval(secs => $5))
where tenant_id = $1 and endpoint_id = $2 and call_sid = $3 and event_order > $4 and state = 'waiting'

-- free_followers: Its successors' turn has come.
update delivery set next_at = clock_timestamp()
where tenant_id = $1 and endpoint_id = $2 and call_sid = $3 and event_order > $4 and state = 'waiting'
    and attempts = 0

-- webhook_recovered: It answers again: whatever waits for it need not wait longer. A row comes back where it had failed.
with recovered as (
    update webhook_endpoint set failing_since = null
    where tenant_id = $1 and endpoint_id = $2 and failing_since is not null
    returning endpoint_id
), freed as (
    update delivery set next_at = clock_timestamp()
    where tenant_id = $1 and endpoint_id in (select endpoint_id from recovered) and state = 'waiting'
)
select endpoint_id from recovered

-- webhook_failing: It did not take something; since when that is so, in seconds.
update webhook_endpoint set failing_since = coalesce(failing_since, clock_timestamp())
where tenant_id = $1 and endpoint_id = $2
returning extract(epoch from clock_timestamp() - failing_since)::float8 as failing_s

-- fail_webhook: It has failed for too long: nothing more is sent; a row comes back where it had been on.
update webhook_endpoint set state = 'failed' where tenant_id = $1 and endpoint_id = $2 and state = 'on'
returning url

-- forget_events: Events that everybody has been told of, or whose last letter died, long enough ago; some at a time.
delete from outbox where tenant_id = $1 and event_id = any (array(
    select o.event_id from outbox o
    where o.tenant_id = $1 and o.at < now() - make_interval(secs => $2) and not exists (
        select from delivery d where d.tenant_id = $1 and d.event_id = o.event_id and d.state = 'waiting'
    )
    order by o.kept_order limit 500
))

-- outbox_depth: What waits for a tenant's endpoints, and for how many seconds the oldest has.
select count(*) as waiting, coalesce(extract(epoch from now() - min(o.at)), 0)::float8 as oldest_s
from delivery d join outbox o on o.tenant_id = d.tenant_id and o.event_id = d.event_id
where d.tenant_id = $1 and d.state = 'waiting'

-- told_live_call: What there is to tell of a call's beginning, from wherever it is still known.
select coalesce(nullif(l.caller, ''), c.caller, '') as caller, coalesce(l.state, '') as state
from (select $2::text as call_sid) k
left join live_call l on l.tenant_id = $1 and l.call_sid = k.call_sid
left join call_end c on c.tenant_id = $1 and c.call_sid = k.call_sid
where l.call_sid is not null or c.call_sid is not null

-- told_call_end: A call's end.
select document from call_end where tenant_id = $1 and call_sid = $2

-- told_follow_up: A message or a task.
select document from follow_up where tenant_id = $1 and key = $2

-- told_appointment: A booking, also one that has been cancelled since.
select reference, starts, name, phone, reason, false as cancelled from appointment
where tenant_id = $1 and reference = $2
union all
select reference, starts, name, phone, reason, true from cancelled_appointment where tenant_id = $1 and reference = $2

-- The back office: what calls left, in pages, newest first.

-- calls_page: A tenant's calls, by when they ended, how, and who called.
select call_sid, outcome_class, outcome_reason, caller, ended_at, kept_order, document from call_end
where tenant_id = $1 and ($2::bigint is null or kept_order < $2)
    and ($4::timestamptz is null or ended_at >= $4) and ($5::timestamptz is null or ended_at < $5)
    and ($6::text is null or outcome_class = $6) and ($7::text is null or outcome_reason = $7)
    and ($8::text is null or caller = $8)
order by kept_order desc limit $3

-- call_of_sid: One call that has ended.
select call_sid, outcome_class, outcome_reason, caller, ended_at, kept_order, document from call_end
where tenant_id = $1 and call_sid = $2

-- messages_page: What callers left by voice; the cursor counts calls, of which each shows all of its messages.
select c.call_sid, c.caller, c.ended_at, c.kept_order,
    (select array_agg(octet_length(m.mulaw) order by m.position) from message m
        where m.tenant_id = c.tenant_id and m.call_sid = c.call_sid) as sizes,
    (select array_agg(m.position order by m.position) from message m
        where m.tenant_id = c.tenant_id and m.call_sid = c.call_sid) as positions
from call_end c
where c.tenant_id = $1 and ($2::bigint is null or c.kept_order < $2) and ($4::text is null or c.caller = $4)
    and exists (select from message m where m.tenant_id = c.tenant_id and m.call_sid = c.call_sid)
order by c.kept_order desc limit $3

-- message_audio: One message as it arrived.
select mulaw from message where tenant_id = $1 and call_sid = $2 and position = $3

-- callers_page: Who called, by their newest call.
select caller, count(*) as calls, min(ended_at) as first_at, max(ended_at) as last_at, max(kept_order) as kept_order
from call_end where tenant_id = $1 and caller <> ''
group by caller
having $2::bigint is null or max(kept_order) < $2
order by max(kept_order) desc limit $3

-- caller: One caller.
select caller, count(*) as calls, min(ended_at) as first_at, max(ended_at) as last_at, max(kept_order) as kept_order
from call_end where tenant_id = $1 and caller = $2
group by caller

-- tasks_page: What somebody at the business is to do.
select key, call_sid, kind, document, kept_at, done_at, done_by, kept_order from follow_up
where tenant_id = $1 and ($2::bigint is null or kept_order < $2)
    and ($4::boolean is null or (done_at is not null) = $4) and ($5::text is null or kind = $5)
    and ($6::text is null or caller = $6)
order by kept_order desc limit $3

-- task: One of them.
select key, call_sid, kind, document, kept_at, done_at, done_by, kept_order from follow_up
where tenant_id = $1 and key = $2

-- settle_task: It has been done ($3), or has not after all; the first to do it is who did it.
update follow_up set
    done_at = case when $3::boolean then coalesce(done_at, now()) end,
    done_by = case when $3::boolean then coalesce(done_by, $4) end
where tenant_id = $1 and key = $2
returning key, call_sid, kind, document, kept_at, done_at, done_by, kept_order

-- appointments_page: By their own time, soonest first, from a slot on; those that stand, and those that were cancelled.
select reference, starts, name, phone, reason, booked_at, cancelled_at, cancelled_by from (
    select tenant_id, reference, starts, name, phone, reason, booked_at,
        null::timestamptz as cancelled_at, null::text as cancelled_by
    from appointment
    union all
    select tenant_id, reference, starts, name, phone, reason, booked_at, cancelled_at, cancelled_by
    from cancelled_appointment
) a
where tenant_id = $1 and (starts, reference) > ($2::timestamp, $3::text)
    and ($5::timestamp is null or starts >= $5) and ($6::timestamp is null or starts < $6)
    and ($7::boolean is null or (cancelled_at is not null) = $7) and ($8::text is null or phone = $8)
order by starts, reference limit $4

-- appointment_of: One, whether it stands or was cancelled.
select reference, starts, name, phone, reason, booked_at, null::timestamptz as cancelled_at, null::text as cancelled_by
from appointment where tenant_id = $1 and reference = $2
union all
select reference, starts, name, phone, reason, booked_at, cancelled_at, cancelled_by
from cancelled_appointment where tenant_id = $1 and reference = $2

-- cancel_appointment: The slot is free again; what it was stays known.
with gone as (
    delete from appointment where tenant_id = $1 and reference = $2
    returning tenant_id, reference, starts, name, phone, reason, booked_at, call_sid
)
insert into cancelled_appointment
    (tenant_id, reference, starts, name, phone, reason, booked_at, cancelled_by, call_sid)
select tenant_id, reference, starts, name, phone, reason, booked_at, $3, call_sid from gone
on conflict (tenant_id, reference) do update set
    starts = excluded.starts, name = excluded.name, phone = excluded.phone, reason = excluded.reason,
    call_sid = excluded.call_sid, booked_at = excluded.booked_at, cancelled_at = now(), cancelled_by = excluded.cancelled_by
returning reference, starts, name, phone, reason, booked_at, cancelled_at, cancelled_by

-- sources_page: What a tenant knows, by name, with how much it is.
select s.source_id, s.name, s.kind, s.digest, s.updated_at,
    (select count(*) from passage p where p.tenant_id = s.tenant_id and p.source_id = s.source_id) as passages
from source s where s.tenant_id = $1 and s.name > $2
order by s.name, s.source_id limit $3

-- forget_tries: The effects of tools that were tried out so long ago that nobody repeats the request.
delete from tool_ledger where tenant_id = $1 and call_sid like 'try-%' and lease_until < now() - make_interval(secs => $2)

-- forget_tried_ids: The call ids of those.
delete from tool_call_id i where tenant_id = $1 and call_sid like 'try-%'
    and not exists (select from tool_ledger l where l.tenant_id = i.tenant_id and l.call_sid = i.call_sid)

-- expire_calls: So many of the calls that ended so long ago, with the messages that were left in them.
delete from call_end c where c.tenant_id = $1 and c.call_sid = any (array(
    select o.call_sid from call_end o
    where o.tenant_id = $1 and o.ended_at < now() - make_interval(days => $2) order by o.ended_at limit $3
)) returning c.call_sid

-- expire_follow_ups: Messages and tasks, so many of them.
delete from follow_up f where f.tenant_id = $1 and f.key = any (array(
    select o.key from follow_up o
    where o.tenant_id = $1 and o.kept_at < now() - make_interval(days => $2) order by o.kept_at limit $3
)) returning f.key

-- expire_live_calls: What is left of calls that nobody serves; none of them lasts for a day.
delete from live_call where tenant_id = $1 and touched_at < now() - make_interval(days => greatest($2, 1))
returning call_sid

-- expire_ledger: Answers of tools, of calls whose end was never told to the ledger.
delete from tool_ledger where tenant_id = $1
    and greatest(kept_at, lease_until) < now() - make_interval(days => greatest($2, 1))
returning effect_id

-- expire_tool_calls: The models' ids for them.
delete from tool_call_id i where i.tenant_id = $1 and i.kept_at < now() - make_interval(days => greatest($2, 1))
    and not exists (
        select from tool_ledger l
        where l.tenant_id = i.tenant_id and l.call_sid = i.call_sid and l.effect_id = i.effect_id)
returning i.call_id

-- expire_cancelled: Appointments that were called off.
delete from cancelled_appointment where tenant_id = $1 and cancelled_at < now() - make_interval(days => $2)
returning reference

-- expire_events: What endpoints were told of; nothing is tried for longer than a few days.
delete from outbox where tenant_id = $1 and at < now() - make_interval(days => greatest($2, 7)) returning event_id

-- old_recordings: So many of those that are kept no longer; the sound goes first.
select call_sid, part from recording
where tenant_id = $1 and started_at < now() - make_interval(days => $2) order by started_at limit $3

-- forget_recording: Its sound is gone.
delete from recording where tenant_id = $1 and call_sid = $2 and part = $3

-- recordings_of_caller: Of this number.
select call_sid, part from recording where tenant_id = $1
    and (caller = $2 or call_sid in (
        select c.call_sid from call_end c where c.tenant_id = $1 and c.caller = $2
        union all select l.call_sid from live_call l where l.tenant_id = $1 and l.caller = $2))

-- calls_on_line: Calls that a worker serves now, or waits for.
select call_sid, caller from live_call
where tenant_id = $1 and snapshot is not null and touched_at > now() - interval '1 minute'

-- forget_calls_of: Their transcripts, and the messages that were left in them.
delete from call_end where tenant_id = $1 and caller = $2 returning call_sid

-- forget_follow_ups_of: Messages and tasks.
delete from follow_up where tenant_id = $1 and (caller = $2 or call_sid = any ($3::text[])) returning key

-- forget_appointments_of: Also those that were called off, and those that they made under another number.
with booked as (
    delete from appointment where tenant_id = $1
        and (phone = $2 or is_number(phone, $4) or (call_sid <> '' and call_sid = any ($3::text[]))) returning reference),
cancelled as (
    delete from cancelled_appointment where tenant_id = $1
        and (phone = $2 or is_number(phone, $4) or (call_sid <> '' and call_sid = any ($3::text[]))) returning reference)
select reference from booked union all select reference from cancelled

-- forget_live_calls_of: What is left of calls that nobody serves any more.
delete from live_call where tenant_id = $1 and (caller = $2 or call_sid = any ($3::text[]))
    and not (call_sid = any ($4::text[]))
returning call_sid

-- forget_ledger_of: Answers of tools, in those calls, or about that number; not of calls that are on the line.
delete from tool_ledger where tenant_id = $1 and not (call_sid = any ($3::text[]))
    and (call_sid = any ($2::text[]) or ($4 <> '' and response::text like '%' || $4 || '%'))
returning effect_id

-- forget_tool_calls_of: The models' ids for them.
delete from tool_call_id where tenant_id = $1 and not (call_sid = any ($3::text[]))
    and (call_sid = any ($2::text[]) or ($4 <> '' and told::text like '%' || $4 || '%'))
returning call_id

-- strike_out_of_calls: The number in calls of others, who spoke of it.
update call_end set document = replace(document::text, $2, $3)::json
where tenant_id = $1 and document::text like '%' || $2 || '%' returning call_sid

-- strike_out_of_live_calls: The same in what a lost worker has left of them.
update live_call set snapshot = replace(snapshot::text, $2, $3)::json
where tenant_id = $1 and snapshot::text like '%' || $2 || '%'
    and touched_at <= now() - interval '1 minute' returning call_sid

-- strike_out_of_follow_ups: The same in messages and tasks.
update follow_up set document = replace(document::text, $2, $3)::json
where tenant_id = $1 and document::text like '%' || $2 || '%' returning key

-- strike_out_of_appointments: The same in what appointments are for.
with booked as (
    update appointment set reason = replace(reason, $2, $3), name = replace(name, $2, $3)
    where tenant_id = $1 and (reason like '%' || $2 || '%' or name like '%' || $2 || '%') returning reference),
cancelled as (
    update cancelled_appointment set reason = replace(reason, $2, $3), name = replace(name, $2, $3)
    where tenant_id = $1 and (reason like '%' || $2 || '%' or name like '%' || $2 || '%') returning reference)
select reference from booked union all select reference from cancelled

-- strike_out_of_usage: The same in what was noted beside a quantity; the quantity stays.
update usage_record set document = replace(document::text, $2, $3)::json
where tenant_id = $1 and document::text like '%' || $2 || '%' returning call_sid

-- strike_out_of_audit: Paths of requests that were about the number.
update audit_entry set path = replace(path, $2, $3) where tenant_id = $1 and path like '%' || $2 || '%' returning at

-- strike_out_of_deliveries: What endpoints said when they were told.
update delivery set error = replace(error, $2, $3)
where tenant_id = $1 and error like '%' || $2 || '%' returning event_id

-- office_state: How webhooks stand, over all tenants.
select * from office_state()

-- keep_recording: A recording that has been written; a row comes back where it was not there before.
insert into recording (tenant_id, call_sid, part, caller, started_at, duration_ms, bytes)
values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning call_sid

-- recordings_page: Newest first, of one call or of all.
select tenant_id, call_sid, part, caller, started_at, duration_ms, bytes, kept_order from recording
where tenant_id = $1 and ($2::text is null or call_sid = $2) and ($3::bigint is null or kept_order < $3)
order by kept_order desc limit $4

-- recording_of: One of them.
select tenant_id, call_sid, part, caller, started_at, duration_ms, bytes from recording
where tenant_id = $1 and call_sid = $2 and part = $3
