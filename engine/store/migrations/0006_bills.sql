-- Closed months on their way to the operator's own biller (FRONTDESK_BILLER_URL): one row for each, written in the
-- transaction that closes the month, so that a month which is closed is also told, whatever dies in between.

create table bill (
    tenant_id text not null,
    month text not null,
    event_id text not null,  -- of tenant and month: the same however often it is told
    state text not null default 'waiting' check (state in ('waiting', 'done', 'held')),  -- held: until it is asked for
    attempts int not null default 0,
    next_at timestamptz not null default now(),
    lease_until timestamptz,
    status int,  -- of the last answer; null where none came
    error text not null default '',
    made_at timestamptz not null default now(),
    settled_at timestamptz,
    kept_order bigint generated always as identity,
    primary key (tenant_id, month),
    foreign key (tenant_id, month) references statement
);
create index bill_due on bill (next_at) where state = 'waiting';
create index bill_order on bill (kept_order);

create function bill_of_statement() returns trigger language plpgsql as $$
begin
    insert into bill (tenant_id, month, event_id) values (
        new.tenant_id, new.month,
        'bill_' || left(encode(sha256(convert_to(new.tenant_id || ' ' || new.month, 'UTF8')), 'hex'), 32));
    perform pg_notify('bill_due', new.tenant_id);
    return null;
end
$$;

-- Months that were closed before anybody could be told of them have been invoiced in some other way.
alter table statement no force row level security;
insert into bill (tenant_id, month, event_id, state, made_at)
    select tenant_id, month,
        'bill_' || left(encode(sha256(convert_to(tenant_id || ' ' || month, 'UTF8')), 'hex'), 32), 'held', closed_at
    from statement order by kept_order;
alter table statement force row level security;

create trigger bill after insert on statement for each row execute function bill_of_statement();

-- Written under the tenant's own name alone; which months wait is seen by who looks after all tenants, also of those
-- that are not there any more: they are owed for all the same.
do $$
declare
    mine constant text := $p$tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))$p$;
    all_of_them constant text := $p$(select current_setting('app.across_tenants', true)) = 'yes'$p$;
begin
    alter table bill enable row level security;
    alter table bill force row level security;
    execute format('create policy its_own on bill using (%s) with check (%s)', mine, mine);
    execute format('create policy looked_after on bill for select using (%s)', all_of_them);
end
$$;
