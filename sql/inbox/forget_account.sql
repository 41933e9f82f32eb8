-- Forgets an account that leaves, except its decisions: its words go, and so do items that others have by it.
create or replace function inbox.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    waiting uuid;
begin
    for waiting in
        select a.id from inbox.approval a where a.asked_by = forget_account.account and a.state = 'pending'
        order by a.id for update
    loop
        perform inbox.finish(waiting, 'void', null);
    end loop;
    perform inbox.remove(array(select i.id from inbox.item i where i.by = forget_account.account));
    perform inbox.remove(array(select i.id from inbox.item i where i.account_id = forget_account.account));
    delete from inbox.setting s where s.account_id = forget_account.account;
    delete from inbox.asked k where k.who = forget_account.account;
    update inbox.decision d set reason = null, form = null where d.account_id = forget_account.account;
    update inbox.approval a set question = 'deleted', detail = '', form = null where a.asked_by = forget_account.account;
end
$$;
