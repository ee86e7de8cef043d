-- Recordings of calls, by reference (the sound is a sealed file); and what is needed to delete what is kept no longer.

create table recording (
    tenant_id text not null,
    call_sid text not null,
    part int not null,  -- each line of a call is a file of its own
    caller text not null default '',
    started_at timestamptz not null,
    duration_ms int not null,
    bytes bigint not null,
    kept_order bigint generated always as identity,
    primary key (tenant_id, call_sid, part)
);
create index recording_order on recording (tenant_id, kept_order);
create index recording_caller on recording (tenant_id, caller);

create index call_end_age on call_end (tenant_id, ended_at);
create index follow_up_age on follow_up (tenant_id, kept_at);

-- The ledger forgets a call when it has ended; what a worker that died has left there has an age from now on.
alter table tool_ledger add column kept_at timestamptz not null default now();
alter table tool_call_id add column kept_at timestamptz not null default now();

-- How the back office stands, over all tenants: a loop, each under its own name. Wants app.across_tenants.
create function office_state(
    out waiting bigint, out oldest_s double precision, out dead bigint, out endpoints_failed bigint
) language plpgsql as $$
declare
    t text;
    d record;
begin
    waiting := 0; oldest_s := 0; dead := 0; endpoints_failed := 0;
    for t in select tenant_id from tenant order by tenant_id loop
        perform set_config('app.tenant_id', t, true);
        select count(*) filter (where state = 'waiting') as waiting,
            coalesce(extract(epoch from clock_timestamp() - (
                select min(o.at) from outbox o join delivery w using (tenant_id, event_id)
                where w.tenant_id = t and w.state = 'waiting'
            )), 0) as oldest_s,
            count(*) filter (where state = 'dead') as dead
        into d from delivery where tenant_id = t and state in ('waiting', 'dead');
        waiting := waiting + d.waiting;
        oldest_s := greatest(oldest_s, d.oldest_s);
        dead := dead + d.dead;
        endpoints_failed := endpoints_failed
            + (select count(*) from webhook_endpoint where tenant_id = t and state = 'failed');
    end loop;
end
$$;

do $$
declare
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
begin
    alter table recording enable row level security;
    alter table recording force row level security;
    execute format('create policy its_own on recording using (%s) with check (%s)', mine, mine);
end
$$;
