-- In which call an appointment was made, so that a caller who is forgotten takes along what they booked, also where they
-- left another number for it. A reference is the id of the effect that booked it; the ledger knows of which call, as
-- long as the call lasts. Empty: of no call, or made before this.

alter table appointment add column call_sid text not null default '';
alter table cancelled_appointment add column call_sid text not null default '';

create function appointment_of_call() returns trigger language plpgsql as $$
begin
    if new.call_sid = '' then
        new.call_sid := coalesce((
            select l.call_sid from tool_ledger l
            where l.tenant_id = new.tenant_id and l.effect_id = new.reference limit 1
        ), '');
    end if;
    return new;
end
$$;
create trigger of_call before insert on appointment for each row execute function appointment_of_call();

create index appointment_of_call on appointment (tenant_id, call_sid) where call_sid <> '';
create index cancelled_appointment_of_call on cancelled_appointment (tenant_id, call_sid) where call_sid <> '';

-- Whether a number that was written down is the one whose digits are given, in any form that people write: with spaces
-- and dashes, or without the country's code.
create function is_number(written text, digits text) returns boolean language sql immutable as $$
    select digits <> '' and (
        case when length(ltrim(regexp_replace(written, '\D', '', 'g'), '0')) >= 8
            then digits like '%' || ltrim(regexp_replace(written, '\D', '', 'g'), '0') else false end
        or regexp_replace(written, '\D', '', 'g') in (digits, '00' || digits))
$$;
