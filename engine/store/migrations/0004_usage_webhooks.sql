-- What calls used, by when; what was invoiced; and the events that tenants' own systems are told of (webhooks).

-- When it was used, by the call's own clock; and in which month's statement it is, once it is in one.
alter table usage_record add column noted_at timestamptz not null default now(), add column billed_in text;

do $$
declare
    t text;
begin
    perform set_config('app.across_tenants', 'yes', true);
    for t in select tenant_id from tenant loop
        perform set_config('app.tenant_id', t, true);
        begin
            update usage_record set noted_at = coalesce(nullif(document ->> 'noted_at', '')::timestamptz, kept_at)
            where tenant_id = t;
        exception when data_exception then
            update usage_record set noted_at = kept_at where tenant_id = t;
        end;
    end loop;
    perform set_config('app.tenant_id', '', true);
    perform set_config('app.across_tenants', '', true);
end
$$;
create index usage_record_time on usage_record (tenant_id, noted_at);
create index usage_record_open on usage_record (tenant_id, noted_at) where billed_in is null;

-- A month that has been closed: written once, never changed; prices as they were are in the document.
create table statement (
    tenant_id text not null,
    month text not null check (month ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    currency text not null,
    total numeric not null,
    document json not null,
    closed_at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, month)
);

-- Where a tenant wants to be told. Secrets are sealed under the process's secret key (engine/webhooks/seal.py).
create table webhook_endpoint (
    tenant_id text not null,
    endpoint_id text not null,
    url text not null,
    description text not null default '',
    events text[] not null default '{}',  -- none: all of them
    secret bytea not null,
    secret_before bytea,
    before_until timestamptz,  -- so long both sign
    state text not null default 'on' check (state in ('on', 'off', 'failed')),  -- failed: turned off by us
    failing_since timestamptz,
    created_at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, endpoint_id)
);

-- What happened, by reference: what there is to tell is read from the fact itself when it is sent, so that nothing of a
-- caller is kept twice, and what has been deleted is not told any more.
create table outbox (
    tenant_id text not null,
    event_id text not null,  -- of what it is about: the same event has the same id however often it is told
    type text not null,
    call_sid text not null,  -- empty: of no call
    key text not null,
    at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, event_id)
);
create index outbox_order on outbox (tenant_id, kept_order);

create table delivery (
    tenant_id text not null,
    endpoint_id text not null,
    event_id text not null,
    call_sid text not null,
    event_order bigint not null,
    state text not null default 'waiting' check (state in ('waiting', 'done', 'dead', 'gone')),  -- gone: fact deleted
    attempts int not null default 0,
    next_at timestamptz not null default now(),
    lease_until timestamptz,
    status int,  -- of the last answer; null where none came
    error text not null default '',
    settled_at timestamptz,
    kept_order bigint generated always as identity,
    primary key (tenant_id, endpoint_id, event_id),
    foreign key (tenant_id, endpoint_id) references webhook_endpoint on delete cascade,
    foreign key (tenant_id, event_id) references outbox on delete cascade
);
create index delivery_due on delivery (tenant_id, next_at) where state = 'waiting';
create index delivery_turn on delivery (tenant_id, endpoint_id, event_order) where state = 'waiting';
create index delivery_of_call on delivery (tenant_id, endpoint_id, call_sid, event_order) where state = 'waiting';
create index delivery_of_event on delivery (tenant_id, event_id);
create index delivery_order on delivery (tenant_id, kept_order);

-- An event, in the transaction of its fact. Nothing is written where nobody wants to be told; a second time changes
-- nothing. Reads one small index in the common case: it is on the way of a call's first and last word to the database.
create function webhook_event(p_tenant_id text, p_type text, p_call_sid text, p_key text)
returns void language plpgsql as $$
declare
    id constant text := 'evt_' || left(
        encode(sha256(convert_to(p_tenant_id || ' ' || p_type || ' ' || p_key, 'UTF8')), 'hex'), 32);
    place bigint;
begin
    if not exists (
        select from webhook_endpoint e
        where e.tenant_id = p_tenant_id and e.state = 'on' and (e.events = '{}' or p_type = any (e.events))
    ) then
        return;
    end if;
    insert into outbox (tenant_id, event_id, type, call_sid, key) values (p_tenant_id, id, p_type, p_call_sid, p_key)
        on conflict do nothing returning kept_order into place;
    if place is null then
        return;
    end if;
    insert into delivery (tenant_id, endpoint_id, event_id, call_sid, event_order)
        select e.tenant_id, e.endpoint_id, id, p_call_sid, place from webhook_endpoint e
        where e.tenant_id = p_tenant_id and e.state = 'on' and (e.events = '{}' or p_type = any (e.events));
    perform pg_notify('webhook_due', p_tenant_id);
end
$$;

-- A call that ended was begun, whether or not the database was there then: whoever is told of the end has been told.
create function webhook_call_end() returns trigger language plpgsql as $$
begin
    perform webhook_event(new.tenant_id, 'call.started', new.call_sid, new.call_sid);
    if new.outcome_reason = 'transferred' then
        perform webhook_event(new.tenant_id, 'escalation', new.call_sid, new.call_sid);
    end if;
    perform webhook_event(new.tenant_id, 'call.ended', new.call_sid, new.call_sid);
    return null;
end
$$;
create trigger webhook after insert on call_end for each row execute function webhook_call_end();

create function webhook_live_call() returns trigger language plpgsql as $$
begin
    perform webhook_event(new.tenant_id, 'call.started', new.call_sid, new.call_sid);
    if new.state = 'transferring' then
        perform webhook_event(new.tenant_id, 'escalation', new.call_sid, new.call_sid);
    end if;
    return null;
end
$$;
create trigger webhook_new after insert on live_call for each row when (new.state <> 'ringing')
    execute function webhook_live_call();
create trigger webhook_moved after update of state on live_call for each row
    when (old.state <> new.state and (old.state = 'ringing' or new.state = 'transferring'))
    execute function webhook_live_call();

create function webhook_message() returns trigger language plpgsql as $$
begin
    perform webhook_event(new.tenant_id, 'message.taken', new.call_sid, 'sound ' || new.call_sid || ' ' || new.position);
    return null;
end
$$;
create trigger webhook after insert on message for each row execute function webhook_message();

create function webhook_follow_up() returns trigger language plpgsql as $$
begin
    perform webhook_event(
        new.tenant_id, case new.kind when 'message' then 'message.taken' else 'task.created' end, new.call_sid, new.key);
    return null;
end
$$;
create trigger webhook after insert on follow_up for each row execute function webhook_follow_up();

-- A reference is the id of the effect that booked it; the ledger knows of which call, as long as the call lasts.
create function webhook_appointment() returns trigger language plpgsql as $$
begin
    perform webhook_event(
        new.tenant_id, 'appointment.booked',
        coalesce((
            select l.call_sid from tool_ledger l
            where l.tenant_id = new.tenant_id and l.effect_id = new.reference limit 1
        ), ''),
        new.reference);
    return null;
end
$$;
create trigger webhook after insert on appointment for each row execute function webhook_appointment();

create function webhook_statement() returns trigger language plpgsql as $$
begin
    perform webhook_event(new.tenant_id, 'usage.closed', '', new.month);
    return null;
end
$$;
create trigger webhook after insert on statement for each row execute function webhook_statement();

-- Which endpoints have something due, of all tenants: a loop, each under its own name. Wants app.across_tenants.
create function webhooks_due() returns table (due_tenant text, due_endpoint text) language plpgsql as $$
declare
    t text;
begin
    for t in select tenant_id from tenant order by tenant_id loop
        perform set_config('app.tenant_id', t, true);
        return query
            select distinct d.tenant_id, d.endpoint_id from delivery d
            where d.tenant_id = t and d.state = 'waiting' and d.next_at <= now()
                and (d.lease_until is null or d.lease_until <= now());
    end loop;
end
$$;

do $$
declare
    t text;
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
begin
    foreach t in array array['statement', 'webhook_endpoint', 'outbox', 'delivery'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy its_own on %I using (%s) with check (%s)', t, mine, mine);
    end loop;
end
$$;
