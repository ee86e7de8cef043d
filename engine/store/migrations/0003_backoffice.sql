-- What the back office keeps (keys, who changed what, answers to repeat), and columns by which it finds what calls left.

create table api_key (
    tenant_id text not null,
    key_id text not null,
    name text not null,
    scopes text[] not null,
    digest bytea not null,  -- sha256 of 32 random bytes: nothing to guess, so nothing to salt
    created_by text not null,
    created_at timestamptz not null default now(),
    rotated_at timestamptz,
    revoked_at timestamptz,
    kept_order bigint generated always as identity,
    primary key (tenant_id, key_id)
);

create table audit_entry (
    tenant_id text not null,
    kept_order bigint generated always as identity,
    at timestamptz not null default now(),
    who text not null,
    method text not null,
    path text not null,
    status int not null,
    primary key (tenant_id, kept_order)
);

-- The answer of a POST that was done, sealed: an answer may hold a secret that is shown once.
create table idempotency (
    tenant_id text not null,
    who text not null,
    key text not null,
    digest bytea not null,
    lease_until timestamptz not null,
    answer bytea,
    kept_at timestamptz not null default now(),
    primary key (tenant_id, who, key)
);
create index idempotency_age on idempotency (tenant_id, kept_at);

-- A cancelled appointment leaves its slot to others, and what it was stays known.
create table cancelled_appointment (
    tenant_id text not null,
    reference text not null,
    starts timestamp not null,
    name text not null,
    phone text not null,
    reason text not null,
    booked_at timestamptz not null,
    cancelled_at timestamptz not null default now(),
    cancelled_by text not null,
    primary key (tenant_id, reference)
);
create index cancelled_appointment_of_phone on cancelled_appointment (tenant_id, phone);

alter table follow_up add column caller text not null default '', add column done_at timestamptz,
    add column done_by text;
alter table call_end add column caller text not null default '', add column ended_at timestamptz not null default now();

-- Documents are json, and may hold what PostgreSQL's text cannot: then the column stays as it is. Of all tenants, also
-- of those that are not there any more, so the owner looks past its own policies for once.
alter table call_end no force row level security;
alter table follow_up no force row level security;
do $$
declare
    r record;
begin
    update call_end set ended_at = kept_at;
    for r in select tenant_id, call_sid, document from call_end loop
        begin
            update call_end set caller = coalesce(r.document -> 'document' ->> 'caller', ''),
                ended_at = coalesce((r.document -> 'document' ->> 'ended_at')::timestamptz, kept_at)
            where tenant_id = r.tenant_id and call_sid = r.call_sid;
        exception when data_exception then null;
        end;
    end loop;
    for r in select tenant_id, key, document from follow_up loop
        begin
            update follow_up set caller = coalesce(r.document ->> 'caller', '')
            where tenant_id = r.tenant_id and key = r.key;
        exception when data_exception then null;
        end;
    end loop;
end
$$;
alter table call_end force row level security;
alter table follow_up force row level security;

create index call_end_order on call_end (tenant_id, kept_order);
create index call_end_caller on call_end (tenant_id, caller, kept_order);
create index follow_up_order on follow_up (tenant_id, kept_order);
create index follow_up_caller on follow_up (tenant_id, caller);

do $$
declare
    t text;
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
begin
    foreach t in array array['api_key', 'audit_entry', 'idempotency', 'cancelled_appointment'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy its_own on %I using (%s) with check (%s)', t, mine, mine);
    end loop;
end
$$;
