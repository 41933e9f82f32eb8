;; Takes all the memory that it gets, and answers how many pages: no more than its limit, all memories together.
;; Being refused more is no fault.
;; must: answered 512
(component
  (core module $part
    (memory (export "memory") 0)
    (func (export "take")
      (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))))
  (core module $m
    (import "a" "memory" (memory 0))
    (import "b" "memory" (memory 0))
    (import "a" "take" (func $a))
    (import "b" "take" (func $b))
    (func (export "attack") (result i32)
      (call $a)
      (call $b)
      (i32.add (memory.size 0) (memory.size 1))))
  (core instance $a (instantiate $part))
  (core instance $b (instantiate $part))
  (core instance $i (instantiate $m (with "a" (instance $a)) (with "b" (instance $b))))
  (func (export "attack") (result u32) (canon lift (core func $i "attack"))))
