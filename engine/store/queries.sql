-- Every query of the store. A line "-- name: what it does" begins one; engine/store/sql.py reads this file.

-- keep_call_end: Keep the end of a call; a row comes back where it was not there before.
insert into call_end (tenant_id, call_sid, outcome_class, outcome_reason, document)
values ($1, $2, $3, $4, $5)
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
insert into follow_up (tenant_id, key, call_sid, kind, document)
values ($1, $2, $3, $4, $5)
on conflict do nothing
returning key

-- follow_ups: A tenant's, oldest first.
select document from follow_up where tenant_id = $1 order by kept_order

-- keep_usage: Keep what a call used; a row comes back where it was not there before.
insert into usage_record (tenant_id, call_sid, kind, quantity, document)
values ($1, $2, $3, $4, $5)
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
