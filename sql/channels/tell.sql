-- Tells accounts in their inboxes. The inbox decides who wants to hear it.
create or replace function channels.tell(accounts uuid[], kind text, title text, body text, link text, by uuid, subject text)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if cardinality(accounts) > 0 and to_regprocedure('inbox.notify(uuid[],text,text,text,text,uuid,text)') is not null then
        execute 'select inbox.notify($1, $2, $3, $4, $5, $6, $7)' using accounts, kind, title, body, link, by, subject;
    end if;
end
$$;
