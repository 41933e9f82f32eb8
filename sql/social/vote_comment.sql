-- Sets an account's vote on a comment; 0 takes it back. Votes are secret.
create or replace function social.vote_comment(account uuid, comment uuid, value integer) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c social.comment := social.lock_comment(account, comment);
    total bigint;
begin
    if c.id is null or c.deleted_at is not null then
        return social.refused('comment-not-found');
    elsif social.closed(c) is not null then
        return social.refused(social.closed(c));
    end if;
    if vote_comment.value = 0 then
        delete from social.comment_vote v where v.comment_id = comment and v.account_id = account;
    else
        insert into social.comment_vote as v (comment_id, account_id, value)
        values (comment, account, vote_comment.value)
        on conflict (comment_id, account_id) do update set value = excluded.value where v.value <> excluded.value;
    end if;
    select x.score into total from social.comment x where x.id = comment;
    if total <> c.score then
        perform events.emit(array['post:' || c.post_id], 'comment.voted',
            jsonb_build_object('id', comment, 'post', c.post_id, 'score', total));
    end if;
    return jsonb_build_object('ok', jsonb_build_object('score', total, 'vote', vote_comment.value));
end
$$;
grant execute on function social.vote_comment(uuid, uuid, integer) to gather_social;
