-- Forgets an account's votes, the blocks of and by it, and the former versions of its texts. Its posts and comments
-- stay under the name that it has from now on, also where events tell of them; reports go on without who made them.
create or replace function social.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from social.post p where p.id in (select v.post_id from social.post_vote v where v.account_id = account)
    order by p.id for no key update;
    delete from social.post_vote v where v.account_id = account;
    perform from social.comment c
    where c.id in (select v.comment_id from social.comment_vote v where v.account_id = account)
    order by c.id for no key update;
    delete from social.comment_vote v where v.account_id = account;
    delete from social.block b where b.blocker = account;
    delete from social.block b where b.blocked = account;
    delete from social.revision r using social.post p where p.id = r.post_id and p.author_id = account;
    delete from social.comment_revision r using social.comment c where c.id = r.comment_id and c.author_id = account;
    update social.report r set reporter_id = null where r.reporter_id = account;
    delete from social.idempotency_key k where k.owner = account::text;
    perform events.revise(jsonb_build_object('author', social.account_json(account)), variadic array(
        select 'post:' || p.id from social.post p
        where p.author_id = account and p.created_at > now() - interval '31 days' and p.deleted_at is null
        and p.hidden_at is null
        union all
        select 'comment:' || c.id from social.comment c
        where c.author_id = account and c.created_at > now() - interval '31 days' and c.deleted_at is null
        and c.hidden_at is null));
end
$$;
