-- Everything the first durable version keeps. tenant_id leads every primary key; row level security is forced on every
-- table, so that it holds for the tables' owner too.

create table tenant (
    tenant_id text primary key,
    document json not null,
    version bigint not null,
    updated_at timestamptz not null default now()
);

-- A number belongs to one tenant; that is why tenant_id cannot lead here.
create table number (
    number text primary key,
    tenant_id text not null references tenant on delete cascade
);
create index number_of_tenant on number (tenant_id);

create table source (
    tenant_id text not null,
    source_id text not null,
    name text not null,
    kind text not null,
    digest text not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, source_id)
);

create table passage (
    tenant_id text not null,
    passage_id text not null,
    source_id text not null,
    position int not null,
    heading text not null,
    body text not null,
    digest text not null,
    words tsvector generated always as (to_tsvector('english', heading || ' ' || body)) stored,
    primary key (tenant_id, passage_id),
    foreign key (tenant_id, source_id) references source on delete cascade
);
create index passage_of_source on passage (tenant_id, source_id);
create index passage_digest on passage (tenant_id, digest);

-- Apart from the text and stored as main, so that a vector stays inline in its row (out of line, a search takes five
-- times as long). No fixed dimensions: the model says them. Searched exactly, by the primary key's first column.
create table passage_vector (
    tenant_id text not null,
    passage_id text not null,
    model text not null,
    emb halfvec not null,
    primary key (tenant_id, passage_id, model),
    foreign key (tenant_id, passage_id) references passage on delete cascade
);
alter table passage_vector alter column emb set storage main;

-- Documents of calls are json, not jsonb: kept to the byte, whatever a caller said.
create table call_end (
    tenant_id text not null,
    call_sid text not null,
    outcome_class text not null,
    outcome_reason text not null,
    document json not null,
    kept_at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, call_sid)
);

create table message (
    tenant_id text not null,
    call_sid text not null,
    position int not null,
    mulaw bytea not null,
    primary key (tenant_id, call_sid, position),
    foreign key (tenant_id, call_sid) references call_end on delete cascade
);

create table follow_up (
    tenant_id text not null,
    key text not null,
    call_sid text not null,
    kind text not null,
    document json not null,
    kept_at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, key)
);

create table usage_record (
    tenant_id text not null,
    call_sid text not null,
    kind text not null,
    quantity double precision not null,
    document json not null,
    kept_at timestamptz not null default now(),
    kept_order bigint generated always as identity,
    primary key (tenant_id, call_sid, kind)
);

create table appointment (
    tenant_id text not null,
    starts timestamp not null,  -- the business's own time
    reference text not null,
    name text not null,
    phone text not null,
    reason text not null,
    booked_at timestamptz not null default now(),
    primary key (tenant_id, starts),
    unique (tenant_id, reference)
);
create index appointment_of_phone on appointment (tenant_id, phone);

create table tool_ledger (
    tenant_id text not null,
    call_sid text not null,
    effect_id text not null,
    tool text not null,
    digest text not null,
    scope text not null,
    attempt text not null,
    state text not null check (state in ('claimed', 'done')),
    lease_until timestamptz not null,
    response json,
    primary key (tenant_id, call_sid, effect_id)
);

-- Which effect a model's call id stands for, and, where the effect was abandoned, what that id was told.
create table tool_call_id (
    tenant_id text not null,
    call_sid text not null,
    call_id text not null,
    effect_id text not null,
    tool text not null,
    digest text not null,
    scope text not null,
    told json,
    told_by text,  -- the attempt that was abandoned with these words
    primary key (tenant_id, call_sid, call_id)
);
create index tool_call_id_of_effect on tool_call_id (tenant_id, call_sid, effect_id);

-- The right to run an effect, in one statement that is committed when it returns. Locks are always taken in the order
-- call id, effect: so does abandoning. A function, since a second look must see what was committed during the first.
create function ledger_claim(
    p_tenant_id text, p_call_sid text, p_call_id text, p_effect_id text, p_tool text, p_digest text, p_scope text,
    p_attempt text, p_reads boolean, p_lease_s double precision,
    out verdict text, out tool text, out digest text, out scope text, out response json
) language plpgsql as $$
declare
    known tool_call_id;
    entry tool_ledger;
    until_when timestamptz;
begin
    insert into tool_call_id (tenant_id, call_sid, call_id, effect_id, tool, digest, scope)
        values (p_tenant_id, p_call_sid, p_call_id, p_effect_id, p_tool, p_digest, p_scope)
        on conflict do nothing;
    select * into strict known from tool_call_id i
        where i.tenant_id = p_tenant_id and i.call_sid = p_call_sid and i.call_id = p_call_id for update;
    tool := known.tool; digest := known.digest; scope := known.scope;
    if known.tool <> p_tool or known.digest <> p_digest then
        verdict := 'id_reused';
        return;
    elsif known.told is not null then
        verdict := 'already_done'; response := known.told;
        return;
    end if;
    loop
        until_when := clock_timestamp() + make_interval(secs => p_lease_s);
        insert into tool_ledger as l
            (tenant_id, call_sid, effect_id, tool, digest, scope, attempt, state, lease_until)
            values (p_tenant_id, p_call_sid, known.effect_id, known.tool, known.digest, known.scope, p_attempt,
                    'claimed', until_when)
            on conflict do nothing;
        if found then
            verdict := 'claimed';
            return;
        end if;
        select * into entry from tool_ledger l
            where l.tenant_id = p_tenant_id and l.call_sid = p_call_sid and l.effect_id = known.effect_id for update;
        exit when found;  -- else it was abandoned between the two statements: try again
    end loop;
    if entry.state = 'done' then
        verdict := 'already_done'; response := entry.response;
        return;
    elsif entry.attempt <> p_attempt and entry.lease_until > clock_timestamp() then
        verdict := 'in_flight';
        return;
    end if;
    update tool_ledger l set attempt = p_attempt, lease_until = until_when
        where l.tenant_id = p_tenant_id and l.call_sid = p_call_sid and l.effect_id = known.effect_id;
    if entry.attempt = p_attempt then
        verdict := 'claimed';
        return;
    end if;
    perform pg_notify('ledger_settled', known.effect_id);  -- whoever waits for the lost attempt claims anew
    verdict := case when p_reads then 'claimed' else 'unknown' end;
end
$$;

-- One policy for all. nullif: after its first use on a connection an unset setting reads as ''. (select ...): evaluated
-- once for a statement, and then a condition on the key. Tenants and numbers are also seen by who looks after all
-- tenants at once, which only the directory does.
do $$
declare
    t text;
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
    all_of_them constant text := $p$(select current_setting('app.across_tenants', true)) = 'yes'$p$;
begin
    foreach t in array array[
        'tenant', 'number', 'source', 'passage', 'passage_vector', 'call_end', 'message', 'follow_up', 'usage_record',
        'appointment', 'tool_ledger', 'tool_call_id'
    ] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        if t in ('tenant', 'number') then
            execute format('create policy its_own on %I using (%s or %s) with check (%s or %s)',
                           t, mine, all_of_them, mine, all_of_them);
        else
            execute format('create policy its_own on %I using (%s) with check (%s)', t, mine, mine);
        end if;
    end loop;
end
$$;
