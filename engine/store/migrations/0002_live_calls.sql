-- Where each call stands now, written behind by the worker that serves it: see engine/store/live_calls.py.

create table live_call (
    tenant_id text not null,
    call_sid text not null,
    worker text not null,
    epoch bigint not null,  -- counts claims: what an older epoch writes is ignored
    attempts int not null,
    state text not null check (state in ('ringing', 'live', 'lost', 'ended', 'transferring')),
    reason text not null,
    caller text not null,
    nonces text[] not null,
    carrier_over boolean not null default false,
    -- json, not jsonb: it is only ever read as a whole, and jsonb refuses some of what a caller may say.
    snapshot json,
    messages bytea[] not null default '{}',
    saved_at timestamptz not null default now(),
    touched_at timestamptz not null default now(),
    primary key (tenant_id, call_sid)
);
-- Most updates change no indexed column and stay on their page.
alter table live_call set (fillfactor = 50);

do $$
declare
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
begin
    alter table live_call enable row level security;
    alter table live_call force row level security;
    execute format('create policy its_own on live_call using (%s) with check (%s)', mine, mine);
end
$$;

-- The calls of all tenants that were left by their worker, claimed; and tombstones that nobody asks for any more go.
-- A loop over tenants, each under its own name: nobody ever sees the calls of two at once. Wants app.across_tenants.
create function live_calls_abandoned(
    p_worker text, p_older_than_s double precision, p_forget_after_s double precision, p_most int
) returns setof live_call language plpgsql as $$
declare
    t text;
    before constant timestamptz := now() - make_interval(secs => p_older_than_s);
    found_now int;
begin
    for t in select tenant_id from tenant order by tenant_id loop
        perform set_config('app.tenant_id', t, true);
        delete from live_call c
            where c.tenant_id = t and c.snapshot is null
                and c.touched_at <= before - make_interval(secs => p_forget_after_s);
        return query
            update live_call c set worker = p_worker, epoch = c.epoch + 1, touched_at = now()
            -- An array, since a joined subquery may be run again for each row, and then finds other rows each time.
            where c.tenant_id = t and c.call_sid = any (array(
                select s.call_sid from live_call s
                where s.tenant_id = t and s.snapshot is not null and s.touched_at < before
                order by s.call_sid limit p_most
                for update skip locked
            ))
            returning c.*;
        get diagnostics found_now = row_count;
        p_most := p_most - found_now;
        exit when p_most <= 0;
    end loop;
end
$$;
